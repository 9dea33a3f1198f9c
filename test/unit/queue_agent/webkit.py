"""Web servers on loopback."""

import contextlib

from aiohttp import web

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


@contextlib.asynccontextmanager
async def site(**pages):
    """A web server; ``pages`` maps names to handlers. Gives its URL and all requests so far."""
    app = web.Application()
    hits = []

    async def serve(request):
        hits.append(request)
        return await pages[request.match_info["name"]](request)

    app.router.add_get("/{name}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", hits
    await runner.cleanup()


async def png(request):
    return web.Response(body=PNG)
