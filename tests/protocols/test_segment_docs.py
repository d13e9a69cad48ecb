"""The example in the documentation is run as it stands there."""

import re
from pathlib import Path

from tests.protocols.ledger import ledger
from tests.protocols.starting import start
from tests.serving import Tenant
from tests.shop import experiment

PAGE = Path(__file__).parents[2] / "docs" / "segment.md"


def test_the_documented_example_records_what_it_says(tenant: Tenant) -> None:
    start(tenant, experiment("cart-offers"))
    [example] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(example.replace("sk_…", tenant.secret.key).replace("https://offers.example.com", tenant.secret.url), {})
    found = ledger(tenant)
    assert found.orders() == {"1071": 3800}
    assert found.links() == {("visitor-42", "customer-7")}
    assert ("cart-offers", "viewed", "visitor-42", "upsell") in found.exposures()
