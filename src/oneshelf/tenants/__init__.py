"""Tenants, users, roles, plans, entitlements, and the credentials of channel accounts.

In: what people enter. Out: who may do what; opened secrets for one account.
Tables it owns: tenant, plan, account, credential, sign_in, api_token.
Never: lets a secret leave its row in the clear; shares anything between tenants.
Read next: seal.py.
"""
