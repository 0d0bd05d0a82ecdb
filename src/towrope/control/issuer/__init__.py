"""The OpenID provider of the server: who signs in here, and the tokens that say so.

Authorization code with PKCE, device code, client credentials and refresh tokens (RFC 6749, 7523,
7636, 8628), in the path shapes and words of Entra, so that its clients work unchanged. The pages
that people see are elsewhere; they call `authorization` and `device_authorization`.
"""
