"""The report of all listings: which SKUs there are in one marketplace. One method an endpoint, carrying Amazon's names.

In: an Account and `Http`. Out: a report asked for, how far it is, the SKUs that it names. Never: what it says of a SKU: a report may be
hours old, and a quantity written because of it could go to one that Amazon ships by now.
Source: model reports_2021-06-30, commit 34dc93f; pages report-type-values-inventory and inventory-reports-attributes (columns, one
marketplace a report, cached one to six hours); selling-partner-api-models issues 2748 and 4888 (Windows-1252, lost letters); read 2026-11.
"""

from __future__ import annotations

from oneshelf.channels.amazon import wire
from oneshelf.channels.amazon.account import Account, build, path_part
from oneshelf.channels.amazon.answers import body_of_read, decoded, explained
from oneshelf.channels.contract import Http, NoAnswer, Request
from oneshelf.core.errors import Park, Retry

REPORT_TYPE = "GET_MERCHANT_LISTINGS_ALL_DATA"
SKU_COLUMN = b"seller-sku"
_REPORTS = "/reports/2021-06-30"
#: A line has a description of some thousand letters; a file has such a line a listing.
LINE_BYTES_MAX = 256 * 1024
FILE_BYTES_MAX = 8 * 2**30
#: How long the storage may be silent, seconds.
DOWNLOAD_TIMEOUT_S = 60.0
#: More SKUs than this are no seller's; only their names are held, some 70 bytes each.
SKUS_MAX = 2_000_000


async def create_report(http: Http, account: Account, marketplace_id: str) -> str:
    """Ask for the report of one marketplace; return its id. The headings are asked for in English: elsewhere they are translated.

    Raises Park where the application may not ask for reports, or as `body_of_read`.
    """
    body = {
        "reportType": REPORT_TYPE,
        "marketplaceIds": [marketplace_id],
        "reportOptions": {"preferredReportDocumentLocale": "en_US"},
    }
    request = build(account, "createReport", f"{_REPORTS}/reports", method="POST", body=body, writes=True)
    response = await http.request(request)
    if response.status in (401, 403):
        raise Park(
            "Amazon lets us ask for no report of all listings, and the search does not reach them all: give the application the role "
            f"'Product Listing' or 'Inventory and Order Tracking' and sign in again ({explained(response).text})"
        )
    return decoded(request, body_of_read(request, response), wire.ReportMade).report_id


async def get_report(http: Http, account: Account, report_id: str) -> wire.Report:
    """Read how far a report is. Raises Park where Amazon does not know it, or as `body_of_read`."""
    request = build(account, "getReport", f"{_REPORTS}/reports/{path_part(report_id)}")
    return decoded(request, body_of_read(request, await http.request(request)), wire.Report)


async def report_skus(http: Http, account: Account, document_id: str) -> list[str]:
    """Read the SKUs that a report's document names, in its order. One line is held at a time, and the names.

    The address lives five minutes, is asked without our token, and answers unpacked. Raises Retry where the document did not come whole,
    Park on one that is not this report.
    """
    path = f"{_REPORTS}/documents/{path_part(document_id)}"
    request = build(account, "getReportDocument", path, {"enableContentEncodingUrlHeader": "true"})
    place = decoded(request, body_of_read(request, await http.request(request)), wire.ReportDocument)
    download = Request("GET", place.url, "reportDownload", timeout_s=DOWNLOAD_TIMEOUT_S, bare=True)
    skus: list[str] = []
    column: int | None = None
    try:
        async for line in http.lines(download, line_bytes_max=LINE_BYTES_MAX, bytes_max=FILE_BYTES_MAX):
            cells = line.rstrip(b"\r").split(b"\t")
            if column is None:
                column = _sku_column(cells)
                continue
            if len(cells) <= column:
                if line.strip():
                    raise Park("a line of Amazon's report of all listings has too few columns")
                continue
            if cells[column]:
                skus.append(_text(cells[column]))
            if len(skus) > SKUS_MAX:
                raise Park(f"Amazon's report names more than {SKUS_MAX:,} SKUs")
    except NoAnswer as lost:
        raise Retry(f"Amazon's report of all listings did not come whole: {lost.reason}") from lost
    if column is None:
        raise Park("Amazon's report of all listings is empty")
    return skus


def _sku_column(headings: list[bytes]) -> int:
    names = [name.strip().removeprefix(b"\xef\xbb\xbf").lower() for name in headings]
    if SKU_COLUMN not in names:
        raise Park(
            "Amazon's report of all listings has no column seller-sku: a copy with the headings of another language is given again for "
            "some hours; read the catalogue again later"
        )
    return names.index(SKU_COLUMN)


def _text(cell: bytes) -> str:
    """Read a SKU: UTF-8 where it is, else Windows-1252, as Amazon writes this report."""
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return cell.decode("cp1252", errors="replace")
