"""Settings of a storefront: who may sign in, what visitors are asked, where offers stand, and who changed what."""
