// Sources of Graft.
