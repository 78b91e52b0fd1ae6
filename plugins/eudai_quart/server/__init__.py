"""The connection layer: what serves the ASGI application. Nothing outside this package imports hypercorn or uvicorn."""
