"""The minimum of the penalised cost, and how far it is.

Checked rows and labels come in. Parameters at the minimum go out, with a bound on how far their cost is above the
least. Costs are sums over the rows, each made in one read of X.
"""
