"""The documents of the surface, made from its code: OpenAPI for HTTP, AsyncAPI for WebSockets, a page for people."""
