"""The user's side: the command tree, the local proxy, kubeconfigs."""
