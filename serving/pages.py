"""What a browser is told with a page that people look at."""


def page_headers(allowed: str) -> dict[str, str]:
    """What it may load by a page, and that nobody else may show or hear of it."""
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
