"""From an offer's definition to what can be shown to this visitor, now: a served offer, or a refusal with its reason.

Truths of every served offer: an upsell costs more than its base; a bundle costs less than its parts; nothing is offered
that is in the cart, out of stock, past its dates or under the margin floor; who accepts never pays more than for the
same products without the offer; of several tiers each costs more than the one before; who declines is next offered
something for less.
"""

from collections.abc import Collection, Iterable, Sequence

from msgspec.structs import replace

from experiments.catalogue import Catalogue, Product
from experiments.incentives import Discount
from experiments.moment import Micros, micros
from experiments.offers import Bundle, CrossSell, NoOffer, Offer, Upsell, follow_ups
from experiments.picks import categories_of, complements, leaves_category, members, targets
from experiments.pricing import bears_floor_alone, discounted, keeps_margin
from experiments.recommend import Recommendations
from experiments.served import Context, Refusal, RefusalCode, ServedOffer

__all__ = ["Context", "Refusal", "RefusalCode", "Resolver", "ServedOffer", "is_dated"]

Shown = Upsell | CrossSell | Bundle
_NOTHING = ServedOffer(NoOffer())


class Resolver:
    """Resolves offers of one storefront against its catalogue and its history."""

    def __init__(self, catalogue: Catalogue, recommendations: Recommendations) -> None:
        self._catalogue = catalogue
        self._recommendations = recommendations

    def resolve(self, offer: Offer, salt: str, context: Context, now: Micros) -> ServedOffer | Refusal:
        """What `offer` comes to here; `salt` (experiment and variant) makes the offer's id its own."""
        if isinstance(offer, NoOffer):
            return _NOTHING
        if offer.valid_from is not None and now < micros(offer.valid_from):
            return Refusal("expired")
        if offer.valid_until is not None and now >= micros(offer.valid_until):
            return Refusal("expired")
        if context.currency is not None and context.currency != self._catalogue.currency:
            return Refusal("wrong_currency")
        if context.discounted and not offer.stacks_with_discounts:
            return Refusal("does_not_stack")  # accepting would cost the visitor the discount that is there already
        if isinstance(offer, Upsell):
            found = self._upsell(offer, salt, context)
        elif isinstance(offer, CrossSell):
            found = self._cross_sell(offer, salt, context)
        else:
            found = self._bundle(offer, salt, context)
        if isinstance(found, Refusal):
            return found
        if offer.social_proof is not None:
            found = replace(found, sold=self._sold(offer, found.products, now))
        if offer.if_declined is None and offer.if_accepted is None:
            return found
        return replace(found, steps=self._steps(offer, found, salt, context, now))

    def _steps(
        self, offer: Shown, first: ServedOffer, salt: str, context: Context, now: Micros
    ) -> dict[str, ServedOffer | Refusal]:
        """What comes next. Not being able to is no reason to refuse the first offer, and is told."""
        steps: dict[str, ServedOffer | Refusal] = {}
        for name, step in follow_ups(offer):
            here = context
            if name == "if_accepted":
                taken = tuple(p.product_id for p in first.products)
                here = replace(context, cart=(*context.cart, *taken))
            found = self.resolve(step, f"{salt}:{name}", here, now)
            if name == "if_declined" and isinstance(found, ServedOffer) and found.price >= first.price:
                found = Refusal("not_cheaper_than_declined")
            steps[name] = found
        return steps

    def _sold(self, offer: Shown, products: Sequence[Product], now: Micros) -> tuple[tuple[str, int], ...]:
        proof = offer.social_proof
        if proof is None:
            return ()
        counts = [(p.product_id, self._recommendations.orders_lately(p.product_id, proof.days, now)) for p in products]
        return tuple((product_id, n) for product_id, n in counts if n is not None and n >= proof.minimum)

    def _upsell(self, offer: Upsell, salt: str, context: Context) -> ServedOffer | Refusal:
        refusal = Refusal("no_candidate")
        for base_id in context.bases:
            base = self._catalogue.get(base_id)
            if base is None:
                refusal = Refusal("unknown_product", base_id)
                continue
            found = self._step_up(offer, base, base.price, offer.discount, offer.tier_name, salt, context)
            if isinstance(found, ServedOffer) and offer.tiers:
                found = self._upsell_tiers(offer, found, salt, context)
            if isinstance(found, ServedOffer):
                return found
            refusal = refusal if found.code == "no_candidate" else found  # what another base is refused for says more
        return refusal

    def _upsell_tiers(self, offer: Upsell, first: ServedOffer, salt: str, context: Context) -> ServedOffer | Refusal:
        below, tiers = first, []
        for tier in offer.tiers:
            discount = tier.discount or offer.discount
            found = self._step_up(offer, below.products[0], below.price, discount, tier.name, salt, context)
            if isinstance(found, Refusal):
                return found
            tiers.append(found)
            below = found
        return replace(first, tiers=tuple(tiers))

    def _step_up(
        self, offer: Upsell, base: Product, floor: int, discount: Discount | None, name: str, salt: str,
        context: Context,
    ) -> ServedOffer | Refusal:  # fmt: skip
        """The first of the base's targets that can be offered for more than `floor` and than the base."""
        refusal = Refusal("no_candidate")
        for target_id in targets(offer, base, self._catalogue):
            target = self._available(target_id, context, offer.minimum_stock)
            if isinstance(target, Refusal):
                refusal = target
                continue
            found = self._priced(offer, (target,), base.product_id, salt, discount, name)
            if isinstance(found, Refusal):
                refusal = found
            elif found.price <= max(floor, base.price) or not _within_ratio(offer, found.price, base.price):
                refusal = Refusal("not_dearer", target_id)
            else:
                return found
        return refusal

    def _cross_sell(self, offer: CrossSell, salt: str, context: Context) -> ServedOffer | Refusal:
        refusal = Refusal("no_candidate")
        bases = context.bases
        near = categories_of(bases, self._catalogue) if leaves_category(offer) else ()
        for stage in complements(offer, bases, self._catalogue, self._recommendations, context.segment):
            chosen, refused = self._fitting(offer, stage, bases, near, context)
            if chosen:
                return self._priced(offer, chosen, bases[0] if bases else None, salt, offer.discount)
            refusal = refused or refusal
        return refusal

    def _fitting(
        self, offer: CrossSell, product_ids: Iterable[str], bases: tuple[str, ...], near: Collection[str],
        context: Context,
    ) -> tuple[tuple[Product, ...], Refusal | None]:  # fmt: skip
        """The first `limit` of them that can be offered, and why the last of the others cannot.

        What is of the `near` categories is passed over. This loop is most of what a pick costs.
        """
        chosen: list[Product] = []
        refusal: Refusal | None = None
        alone, find, cart, least = bears_floor_alone(offer), self._catalogue.get, context.cart, offer.minimum_stock
        for product_id in product_ids:
            if product_id in bases:
                continue
            product = find(product_id)
            if product is None:
                refusal = Refusal("unknown_product", product_id)
            elif product.category in near or product in chosen:
                continue
            elif product_id in cart:
                refusal = Refusal("already_in_cart", product_id)
            elif product.stock is not None and product.stock < least:
                refusal = Refusal("out_of_stock", product_id)
            elif alone and isinstance(priced := self._priced(offer, (product,), None, "", offer.discount), Refusal):
                refusal = Refusal(priced.code, product_id)
            else:
                chosen.append(product)
                if len(chosen) == offer.limit:
                    break
        return tuple(chosen), refusal

    def _bundle(self, offer: Bundle, salt: str, context: Context) -> ServedOffer | Refusal:
        must, may = members(offer, context.bases, self._recommendations, context.segment)
        first = self._package(offer, must, may, offer.limit, offer.discount, offer.tier_name, salt, context)
        if isinstance(first, Refusal) or not offer.tiers:
            return first
        below, tiers = first, []
        for number, tier in enumerate(offer.tiers, 1):
            discount = tier.discount or offer.discount
            items, limit = (tier.items, 0) if offer.pick == "explicit" else (must, offer.limit + number)
            found = self._package(offer, items, may, limit, discount, tier.name, salt, context)
            if isinstance(found, Refusal):
                return found
            if found.price <= below.price or len(found.products) < limit:
                return Refusal("not_dearer" if found.price <= below.price else "no_candidate")
            tiers.append(found)
            below = found
        return replace(first, tiers=tuple(tiers))

    def _package(
        self, offer: Bundle, must: Sequence[str], may: Sequence[str], limit: int, discount: Discount | None, name: str,
        salt: str, context: Context,
    ) -> ServedOffer | Refusal:  # fmt: skip
        """These products together, filled up to `limit`, for less than their sum."""
        products: list[Product] = []
        for product_id in must:
            product = self._available(product_id, context, offer.minimum_stock)
            if isinstance(product, Refusal):
                return product
            products.append(product)
        for product_id in may:
            if len(products) >= limit:
                break
            found = self._available(product_id, context, offer.minimum_stock)
            products += [] if isinstance(found, Refusal) else [found]
        if len(products) < 2:
            return Refusal("no_candidate")
        base_id = context.product_id if context.product_id in must else products[0].product_id
        served = self._priced(offer, tuple(products), base_id, salt, discount, name)
        if not isinstance(served, Refusal) and served.price >= served.regular_price:
            return Refusal("not_cheaper_than_parts")
        return served

    def _available(self, product_id: str, context: Context, least: int) -> Product | Refusal:
        product = self._catalogue.get(product_id)
        if product is None:
            return Refusal("unknown_product", product_id)
        if product_id in context.cart:
            return Refusal("already_in_cart", product_id)
        return product if product.stock is None or product.stock >= least else Refusal("out_of_stock", product_id)

    def _priced(
        self, offer: Shown, products: tuple[Product, ...], base_id: str | None, salt: str, discount: Discount | None,
        name: str = "",
    ) -> ServedOffer | Refusal:  # fmt: skip
        regular = sum([product.price for product in products])
        price = discounted(regular, discount, self._catalogue.currency)
        if not keeps_margin(offer, products, price):
            return Refusal("below_margin")
        if price > regular:  # a fixed price from before the catalogue's became lower
            return Refusal("not_cheaper_than_parts")
        return ServedOffer(offer, products, price, regular, base_id, self._catalogue.currency, salt, name)


def is_dated(offer: Offer) -> bool:
    """Whether it depends on the time what the offer comes to."""
    if isinstance(offer, NoOffer):
        return False
    dated = offer.valid_from is not None or offer.valid_until is not None or offer.social_proof is not None
    return dated or any(is_dated(step) for _, step in follow_ups(offer))


def _within_ratio(offer: Upsell, price: int, base_price: int) -> bool:
    return offer.max_price_ratio is None or price <= offer.max_price_ratio * base_price
