// OpenFeature's server SDK with its OFREP provider: prints what it got for each visitor, and each error.
import { OpenFeature } from "@openfeature/server-sdk";
import { OFREPProvider } from "@openfeature/ofrep-provider";

const { URL: baseUrl, KEY, COUNT } = process.env;
const connect = (key) =>
  OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers: [["Authorization", `Bearer ${key}`]] }));
await connect(KEY);
const client = OpenFeature.getClient();
const fallback = { type: "fallback" };
const where = { product_id: "A1", cart: [{ product_id: "B2", quantity: 1 }], since: new Date(0) };
const short = ({ value, variant, reason, errorCode, flagMetadata }) => ({ type: value.type, variant, reason, errorCode, flagMetadata });

const visitors = [];
for (let i = 0; i < Number(COUNT); i++) {
  visitors.push(short(await client.getObjectDetails("cart", fallback, { targetingKey: `v${i}`, ...where })));
}
const errors = {
  nowhere: short(await client.getObjectDetails("a/b c", fallback, { targetingKey: "v1" })),
  nobody: short(await client.getObjectDetails("cart", fallback, {})),
  invalid: short(await client.getObjectDetails("cart", fallback, { targetingKey: "a b" })),
  elsewhere: short(await client.getObjectDetails("checkout", fallback, { targetingKey: "v1" })),
};
await connect("sk_unknown");
errors.stranger = short(await client.getObjectDetails("cart", fallback, { targetingKey: "v1" }));
await OpenFeature.close();
console.log(JSON.stringify({ visitors, errors }));
