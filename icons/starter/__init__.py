"""The starter library: icons that this package draws from geometry, and labelled queries for them."""
