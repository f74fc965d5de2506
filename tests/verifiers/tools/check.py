"""Shows the requests of a file to the library standardwebhooks of PyPI; exits 1 if it sees one of them in another way than expected."""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError


def accepts(vector: dict) -> bool:
    try:
        Webhook(vector["secret"]).verify(vector["body"].encode(), vector["headers"])
    except WebhookVerificationError:
        return False
    return True


with open(sys.argv[1], encoding="utf-8") as file:
    vectors = [json.loads(line) for line in file]
wrong = [vector["case"] for vector in vectors if accepts(vector) != vector["expected"]]
print(f"python: {len(vectors)} requests, differently seen: {', '.join(wrong) or 'none'}")
sys.exit(1 if wrong or not vectors else 0)
