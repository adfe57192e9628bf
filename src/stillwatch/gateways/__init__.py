"""Plugins that run inside gateways: they load the gateway's own packages, our client, and nothing else of ours."""
