"""Connections to hosts that tenants name: only to checked addresses, with limits on what a host may send."""
