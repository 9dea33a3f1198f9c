"""Connections to hosts that tenants name: to checked addresses only, and with bounds on what a host may send."""
