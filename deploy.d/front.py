"""`./deploy front`: the DNS records that the domain needs, and the wait until they lead to the load balancer."""

import time

from environments import Environment
from failures import Failure
from pipeline import Deploy
from smoke import ask
from streams import say

# As modules/front names it.
CERTIFICATE = "front"
READY = "ACTIVE"
PAUSE_SECONDS = 10
# Google looks at a new DNS record every few minutes, and hands a new certificate to its fronts in as many.
PATIENCE_SECONDS = 3600


def front(runner, name: str, *, wait: bool):
    """Print the DNS records. With `wait`, return when the domain answers with its own certificate."""
    deploy = Deploy(runner, name, looks_only=True)
    deploy.services.init()
    outputs = deploy.services.outputs()
    if "front" not in outputs:
        raise Failure("wait", f"Nothing serves in {name} yet. First: ./deploy apply-services {name}")
    if outputs["front"] is None:
        say(f"{name} has no load balancer (front in services.tfvars), so it needs no DNS record.")
        return
    records = [one for one in outputs["front"]["dns_records"].values() if one]
    for one in records:
        print(f"{one['name']}  {one['type']}  {one['data']}")
    if not wait:
        say(
            "Write these records into the zone of the domain; where services.tfvars names a dns_zone, they are there "
            f"already. Then: ./deploy front {name} --wait"
        )
        return
    _await(runner, deploy.environment, f"{outputs['public_url']}/.well-known/license-keys")


def _await(runner, environment: Environment, address: str):
    deadline = time.monotonic() + PATIENCE_SECONDS
    said = None
    while True:
        lacks = _lacks(runner, environment, address)
        if lacks is None:
            say(f"The certificate is {READY}, and {address} answers.")
            return
        if time.monotonic() > deadline:
            raise Failure(
                "wait",
                f"{lacks} Compare the records above with what the domain's own name servers answer, then start this "
                f"again: ./deploy front {environment.name} --wait",
            )
        if lacks != said:
            say(f"{lacks} Waiting.")
        said = lacks
        time.sleep(PAUSE_SECONDS)


def _lacks(runner, environment: Environment, address: str) -> str | None:
    """What is not yet as it must be; None where everything is."""
    question = ["gcloud", "certificate-manager", "certificates", "describe", CERTIFICATE]
    more = [f"--project={environment.project}", "--format=value(managed.state)"]
    state = runner.run([*question, *more], capture=True).output.strip()
    if state != READY:
        return f"The certificate is {state or 'not there'} and not {READY}."
    try:
        status = ask("GET", address).status
    except Failure as failure:
        return str(failure)
    return None if status == 200 else f"{address} answers {status} and not 200."
