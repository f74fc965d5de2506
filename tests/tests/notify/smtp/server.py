"""A mail server (aiosmtpd) that does with each mail what the name of its recipient says.

server.py FILE [CERTIFICATE KEY MODE]   MODE: starttls or smtps; both want the user `license` with the password `secret word`

Prints its port. Every message whose end it has read is a line of JSON in FILE: from, to, message.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def __init__(self, path):
        self.file = open(path, "a", buffering=1, encoding="utf-8")

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        does = address.split("@")[0]
        if does == "deferred":
            return "451 4.7.1 Greylisted, come back later, " + address
        if does == "refused":
            return "550 5.1.1 No such user " + address
        if does == "hangs":
            await asyncio.sleep(3600)
        if does == "breaks":
            server.transport.close()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = envelope.content.decode("utf-8")
        self.file.write(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos, "message": message}) + "\n")
        does = envelope.rcpt_tos[0].split("@")[0]
        if does == "deferred-data":
            return "452 4.3.1 Full"
        if does == "refused-data":
            return "554 5.7.1 Looks like spam"
        if does == "closes":
            server.transport.close()
        if does == "silent":
            await asyncio.sleep(3600)
        return "250 Taken"


def authenticate(server, session, envelope, mechanism, data):
    # Not handled: the library itself says that it failed.
    return AuthResult(success=(data.login, data.password) == (b"license", b"secret word"), handled=False)


async def main(path, certificate=None, key=None, mode=None):
    handler, options, context = Handler(path), {}, None
    if mode:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        options = {"authenticator": authenticate, "auth_required": True}
        if mode == "starttls":
            options.update(tls_context=context, require_starttls=True)
        else:
            options.update(auth_require_tls=False)
    make = lambda: SMTP(handler, hostname="mail.test", loop=asyncio.get_running_loop(), **options)
    wrapped = context if mode == "smtps" else None
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=wrapped)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The test that started it is over when its end of the pipe is closed.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    import os
    os._exit(0)


asyncio.run(main(*sys.argv[1:]))
