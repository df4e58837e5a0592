"""Who must hear of it.

In: what catalogues show; SKUs whose number moved. Out: outlets, the ties between listings and SKUs, dirty marks.
Tables it owns: outlet, listing_key, link, offer_rule, rule_import, strict_sku, risk, announced_sale, announced_sku, account_location,
dirty_listing.
Never: guesses a tie (SKUs match exactly or a person links); clears a mark by time.
Read next: links.py, dirty.py.
"""
