// Shows the requests of a file to the library standardwebhooks of npm; exits 1 if it sees one of them in another way than expected.
const { readFileSync } = require("node:fs");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

function accepts({ secret, body, headers }) {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}

const vectors = readFileSync(process.argv[2], "utf8").trim().split("\n").map((line) => JSON.parse(line));
const wrong = vectors.filter((vector) => accepts(vector) !== vector.expected).map((vector) => vector.case);
console.log(`javascript: ${vectors.length} requests, differently seen: ${wrong.join(", ") || "none"}`);
process.exit(wrong.length > 0 || vectors.length === 0 ? 1 : 0);
