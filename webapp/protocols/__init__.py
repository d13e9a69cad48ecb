"""The protocols that storefronts already speak: OpenFeature's OFREP, GrowthBook's SDKs, our own snippet."""
