"""The peers: the same work with other libraries, each as its documentation shows it."""
