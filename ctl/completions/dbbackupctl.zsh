#compdef dbbackupctl
# zsh completion for dbbackupctl; the candidates come from the program itself.
_dbbackupctl() {
  local line name
  local -a candidates
  while IFS= read -r line; do
    name=${line%%$'\t'*}
    if [[ $name == :files ]]; then
      _files
      return
    fi
    name=${name//:/\\:}
    if [[ $line == *$'\t'* ]]; then
      candidates+=("$name:${line#*$'\t'}")
    else
      candidates+=("$name")
    fi
  done < <("${(Q)words[1]}" __complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)words[CURRENT]}" 2>/dev/null)
  _describe 'dbbackupctl' candidates
}
if [[ $funcstack[1] == _dbbackupctl ]]; then
  _dbbackupctl "$@"
else
  compdef _dbbackupctl dbbackupctl
fi
