"""The toy server: ``python -m test.toy.standin PORT``."""

import base64
import sys

from aiohttp import web

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYPgPAAEDAQAIicLsAAAAAElFTkSuQmCC")


class ToyServer:
    """Counts its drawings, and rejects words of more than 20 characters."""

    def __init__(self) -> None:
        self.drawings = 0

    async def health(self, _: web.Request) -> web.Response:
        return web.json_response({"drawings": self.drawings})

    async def draw(self, request: web.Request) -> web.Response:
        if len((await request.json())["word"]) > 20:
            return web.json_response({"error": "The word is too long."}, status=400)
        self.drawings += 1
        return web.Response(body=PNG, content_type="image/png")


if __name__ == "__main__":
    server, app = ToyServer(), web.Application()
    app.add_routes([web.get("/health", server.health), web.post("/draw", server.draw)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
