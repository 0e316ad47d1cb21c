"""The router: opens one case per measure and gives it to the authority that the law names."""
