// Sources of GraftGraph.
