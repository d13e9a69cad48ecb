"""The shoppers' way through the shop: product page, cart, checkout, thank-you page. Each page asks for its assignment
as a storefront does, and what happens is reported as a storefront reports it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from experiments.assignment import Assignment
from experiments.catalogue import Product
from experiments.context import CartLine, ContextInput
from experiments.demo import truth
from experiments.demo.shoppers import Visit
from experiments.demo.terms import FREE_SHIPPING_FROM, SHIPPING, TAX_PERCENT
from experiments.moment import DAY, SECOND, Micros, iso
from experiments.money import to_decimal
from experiments.offers import NoOffer, Upsell
from experiments.resolution import ServedOffer
from experiments.service import serving
from experiments.service.serving import AssignmentRequest
from experiments.service.snapshot import StorefrontView


@dataclass(frozen=True, slots=True)
class Line:
    """One product in the cart, and the offer it came by."""

    product: Product
    offer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Cart:
    """What is to be bought; `saved` is what a bundle takes off, in minor units."""

    lines: tuple[Line, ...]
    saved: int = 0

    @property
    def revenue(self) -> int:
        """What the shop gets for it, in minor units."""
        return sum(line.product.price for line in self.lines) - self.saved

    def take(self, served: ServedOffer) -> "Cart":
        """The cart after the offer was taken: an upsell replaces its base, all else is added."""
        added = tuple(Line(product, served.offer_id) for product in served.products)
        saved = self.saved + served.regular_price - served.price
        if not isinstance(served.offer, Upsell):
            return replace(self, lines=(*self.lines, *added), saved=saved)
        kept = tuple(line for line in self.lines if line.product.product_id != served.base_product_id)
        return replace(self, lines=(*added, *kept), saved=saved)


@dataclass(slots=True)
class Page:
    """What one page showed: the factor on buying, and the offer where it was taken."""

    buying: float = 1.0
    taken: ServedOffer | None = None


@dataclass(slots=True)
class Reports:
    """What a storefront has to send, as JSON with its time."""

    exposures: list[tuple[Micros, bytes]] = field(default_factory=list)
    conversions: list[tuple[Micros, bytes]] = field(default_factory=list)

    def exposure(self, at: Micros, **values: Any) -> None:
        """One for `/v1/exposures`."""
        self.exposures.append((at, msgspec.json.encode(values | {"occurred_at": iso(at)})))

    def conversion(self, at: Micros, **values: Any) -> None:
        """One for `/v1/conversions`."""
        given = {name: value for name, value in values.items() if value is not None}
        self.conversions.append((at, msgspec.json.encode(given | {"occurred_at": iso(at)})))

    def due(self, until: Micros) -> tuple[list[bytes], list[bytes]]:
        """The exposures and the conversions from before `until`; they are sent then, the later ones stay."""
        exposures = [raw for at, raw in self.exposures if at < until]
        conversions = [raw for at, raw in self.conversions if at < until]
        self.exposures = [pair for pair in self.exposures if pair[0] >= until]
        self.conversions = [pair for pair in self.conversions if pair[0] >= until]
        return exposures, conversions


class Shop:
    """One storefront in the hands of its shoppers; what they cause is appended to `reports`, nothing is written."""

    def __init__(self, view: StorefrontView, reports: Reports) -> None:
        self._view = view
        self._reports = reports
        self._currency = view.storefront.currency

    def visit(self, visit: Visit) -> None:
        """One visit, from the product page to wherever it ends."""
        drawn, product = visit.draws, self._product(visit.product_id)
        page = self._page(visit, "product_page", 0, drawn.takes_page, ContextInput(product_id=product.product_id))
        if drawn.adds >= truth.ADDS_TO_CART:
            return
        cart = Cart((Line(product),))
        cart = cart.take(page.taken) if page.taken else cart
        if visit.second is not None:
            cart = replace(cart, lines=(*cart.lines, Line(self._product(visit.second))))
        buying = page.buying
        at_cart = self._page(visit, "cart", 60, drawn.takes_cart, self._context(cart))
        cart, buying = (cart.take(at_cart.taken) if at_cart.taken else cart), buying * at_cart.buying
        if drawn.checkout >= truth.REACHES_CHECKOUT:
            return
        till = self._page(visit, "checkout", 150, drawn.takes_checkout, self._context(cart))
        cart, buying = (cart.take(till.taken) if till.taken else cart), buying * till.buying
        if drawn.buys >= truth.BUYS * buying:
            return
        self._order(visit, self._after_purchase(visit, cart))

    def _after_purchase(self, visit: Visit, cart: Cart) -> Sequence[Cart]:
        """What is ordered, and what the order grows to where an offer after the purchase is taken.

        The shop asks for both offers when the visitor presses the button: so the order itself is in the comparison.
        """
        carts = [cart]
        for placement, shown, takes in (
            ("post_purchase", 12, visit.draws.takes_thanks),
            ("thank_you_mail", 900, visit.draws.takes_mail),
        ):
            page = self._page(visit, placement, 239, takes, self._context(carts[-1]), shown)
            carts += [carts[-1].take(page.taken)] if page.taken else []
        return carts

    def _page(
        self, visit: Visit, placement: str, after: int, takes: float, context: ContextInput, shown: int = 1
    ) -> Page:
        """Ask for the assignment of a page, and `shown` seconds later report that it was seen, and what was taken."""
        at = Micros(visit.at + after * SECOND)
        attributes = {"country": visit.country, "device": visit.device}
        request = AssignmentRequest(
            visit.visitor_id, placement, customer_id=visit.customer_id, attributes=attributes, context=context
        )
        made = serving.decide(self._view, request, at, lambda _rule, _unit: None)
        if made.variant is None or made.rule is None:
            return Page()
        planted = truth.effect(made.rule.definition.key, made.variant.key)
        if made.in_experiment:
            of = {"experiment": made.rule.definition.key, "variant": made.variant.key, "visitor_id": visit.visitor_id}
            told = {"attributes": attributes, "context": msgspec.to_builtins(context)}
            self._reports.exposure(at, **of, kind="assigned", **told)
        if made.offer is None or isinstance(made.offer.offer, NoOffer):
            return Page(planted.buying)
        taken = takes < planted.acceptance
        self._report_offer(visit, made, Micros(at + shown * SECOND), takes, taken=taken)
        return Page(planted.buying, made.offer if taken else None)

    def _report_offer(self, visit: Visit, made: Assignment, at: Micros, takes: float, *, taken: bool) -> None:
        """The offer was seen, and taken or closed. `takes` near 1 did not see it, just below closed it."""
        if made.rule is None or made.variant is None or made.offer is None or takes >= truth.SEES_OFFER:
            return
        of = {"experiment": made.rule.definition.key, "variant": made.variant.key, "visitor_id": visit.visitor_id}
        if made.in_experiment:
            self._reports.exposure(at, **of, kind="viewed")
        if not taken and takes < truth.SEES_OFFER * (1 - truth.DISMISSES):
            return
        kind = "offer_accepted" if taken else "offer_dismissed"
        event_id = f"{kind}-{visit.visitor_id}-{made.rule.definition.key}-{at}"
        self._reports.conversion(
            Micros(at + 8 * SECOND), **of, type=kind, event_id=event_id, offer_id=made.offer.offer_id
        )

    def _order(self, visit: Visit, carts: Sequence[Cart]) -> None:
        """The order, its edits where it grew afterwards, and its refund; shipping is what the first one cost."""
        at = Micros(visit.at + 240 * SECOND)
        order_id = f"D{visit.at // SECOND}-{visit.visitor_id[:8]}"
        shipping = 0 if carts[0].revenue >= FREE_SHIPPING_FROM else SHIPPING
        who = {"visitor_id": visit.visitor_id, "customer_id": visit.customer_id}
        for number, cart in enumerate(carts):
            self._reports.conversion(
                at,
                **who,
                type="order",
                order_id=order_id,
                version=number or None,
                currency=self._currency,
                revenue=self._money(cart.revenue),
                discount=self._money(cart.saved),
                shipping=self._money(shipping),
                tax=self._money(cart.revenue * TAX_PERCENT // 100),
                items=[self._item(line) for line in cart.lines],
            )
        if visit.draws.refund < truth.REFUNDED:
            self._reports.conversion(
                Micros(at + int((2 + 4 * visit.draws.spare) * DAY)),
                **who,
                type="refund",
                refund_id=f"R-{order_id}",
                order_id=order_id,
                amount=self._money(carts[-1].revenue),
                currency=self._currency,
            )

    def _item(self, line: Line) -> Mapping[str, object]:
        item = {"product_id": line.product.product_id, "quantity": 1, "price": self._money(line.product.price)}
        return item | ({"offer": line.offer_id} if line.offer_id else {})

    def _context(self, cart: Cart) -> ContextInput:
        seen: Sequence[str] = list(dict.fromkeys(line.product.product_id for line in cart.lines))
        return ContextInput(cart=[CartLine(product_id) for product_id in seen])

    def _product(self, product_id: str) -> Product:
        found = self._view.catalogue.get(product_id)
        if found is None:
            raise LookupError(f"the demo's catalogue has no {product_id}")
        return found

    def _money(self, minor: int) -> str:
        return to_decimal(minor, self._currency)
