"""The services of AWS that managed runtimes call: whether they are there, and the account's access to them."""
