"""The demo's storefront at /shop: a small shop that uses Offerlab as any shop would, by snippet and public API."""
