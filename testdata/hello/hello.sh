echo "$(cat greeting) $(hostname)"
