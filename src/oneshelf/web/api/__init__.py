"""The REST API, /api/v1: what the commands can do, for other people's programs.

In: requests with a token. Out: JSON, errors as problem+json, the OpenAPI document. Tables it owns: api_answer.
Never: decides (its routes call the functions that the command line calls); answers without a token; shows one tenant another's rows.
Read next: app.py, route.py, then one module of resources/.
"""
