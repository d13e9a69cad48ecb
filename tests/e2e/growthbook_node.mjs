// GrowthBook's SDK: prints each visitor's variant as evaluated here.
import { GrowthBook } from "@growthbook/growthbook";

const { URL: apiHost, KEY: clientKey, COUNT } = process.env;
const sdk = new GrowthBook({ apiHost, clientKey });
const loaded = await sdk.init({ timeout: 5000 });
const variants = [];
for (let i = 0; i < Number(COUNT); i++) {
  await sdk.setAttributes({ id: `v${i}`, country: ["DE", "FR", "US"][i % 3] });
  const found = sdk.evalFeature("cart");
  variants.push(found.source === "experiment" ? found.experimentResult.key : null);
}
sdk.destroy();
console.log(JSON.stringify({ source: loaded.source, variants }));
