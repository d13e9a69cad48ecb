// Opens a page in headless Chromium, waits until it has set window.result, and prints that as JSON.
import puppeteer from "puppeteer-core";

const [executablePath, address] = process.argv.slice(2);
const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
try {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(address, { waitUntil: "domcontentloaded" });
  await page.waitForFunction(() => window.result !== undefined, { timeout: 40000 });
  console.log(JSON.stringify({ result: await page.evaluate(() => window.result), errors }));
} finally {
  await browser.close();
}
