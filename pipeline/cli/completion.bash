# Completes make in this repository: targets, the variables that they take, and values, as recipes and runs.
# For bash: source pipeline/cli/completion.bash. zsh needs this first: autoload -U +X bashcompinit && bashcompinit
# In other folders, make is completed as before.

_digit_recognizer_names() {  # the keys of a dict in a Python file: <file> <name of the dict>
  sed -n "/^$2\(: .*\)\{0,1\} = {/,/^}/s/^    \"\([a-z_]*\)\".*/\1/p" "$1" 2>/dev/null
}

_digit_recognizer_values() {  # the values that a variable may have
  case "$1" in
    RECIPE)
      (cd pipeline/recipes 2>/dev/null && find . -name '*.toml' | sed 's/^\.\///; s/\.toml$//')
      compgen -f -X '!*.toml' -- "$2"
      ;;
    RUN)
      find runs -mindepth 2 -maxdepth 2 -name run.json 2>/dev/null | sed 's/^runs\///; s/\/run\.json$//'
      ;;
    SOURCE)
      printf '%s\n' auto kaggle practice mnist
      compgen -d -- "$2"
      ;;
    EXECUTOR) _digit_recognizer_names pipeline/executors/plan.py EXECUTORS ;;
    VIEW) _digit_recognizer_names pipeline/stages/look.py VIEWS ;;
    SORT) _digit_recognizer_names pipeline/evaluation/comparison/order.py _KEYS ;;
    ALSO) printf '%s\n' averaged submitted kernel ;;
    PART) printf '%s\n' validation test ;;
    FORCE|ALL|KAGGLE_IMAGE|TENSORBOARD) echo 1 ;;
  esac
}

_digit_recognizer_variables() {  # the variables of the targets on the line, of all without any
  local shared trackers lines='' target
  shared=$(sed -n 's/^RECIPE_STAGE := //p' Makefile)
  trackers=$(sed -n 's/^TRACKERS := //p' Makefile)
  for target in "$@"; do
    lines="$lines $(sed -n "s/^TAKES_$target :=//p" Makefile)"
  done
  if [ $# -eq 0 ]; then lines=$(sed -n 's/^TAKES_[a-z-]* :=//p' Makefile); fi
  printf '%s\n' $(printf '%s ' $lines | sed "s/\$(RECIPE_STAGE)/$shared/g; s/\$(TRACKERS)/$trackers/g") | sort -u
}

_digit_recognizer_make() {
  if [ ! -f pipeline/recipe/spelling.py ] || [ ! -f Makefile ]; then
    if [ -n "${_digit_recognizer_before:-}" ]; then "$_digit_recognizer_before" "$@"; fi
    return
  fi
  local line="${COMP_LINE:0:$COMP_POINT}" targets given=() word name prefix=''
  word="${line##*[[:space:]]}"
  targets=$(sed -n 's/^\([a-z-]*\):.*## .*/\1/p' Makefile)
  if [[ "$word" == *=* ]]; then
    name="${word%%=*}"
    # bash takes the part after "=" for a word of its own, zsh the whole.
    [ -n "${ZSH_VERSION:-}" ] && prefix="$name="
    word="${word#*=}"
    local one
    COMPREPLY=()
    while IFS= read -r one; do  # not compgen -W, which would run the commands in a file's name
      if [[ "$one" == "$word"* ]]; then COMPREPLY+=("$prefix$(printf %q "$one")"); fi
    done < <(_digit_recognizer_values "$name" "$word")
    return
  fi
  for name in $(printf '%s' "${line%"$word"}"); do
    if printf '%s\n' "$targets" | grep -qx -- "$name"; then given+=("$name"); fi
  done
  COMPREPLY=($(compgen -W "$targets" -- "$word"))
  local variables
  variables=$(compgen -S = -W "$(_digit_recognizer_variables ${given[@]+"${given[@]}"})" -- "$word")
  if [ -n "$variables" ]; then
    COMPREPLY+=($(printf '%s' "$variables"))
    if [ ${#COMPREPLY[@]} -eq 1 ] && type compopt >/dev/null 2>&1; then compopt -o nospace; fi
  fi
}

# bash-completion loads what completes make only when it is first asked.
for _digit_recognizer_loader in _comp_load _completion_loader; do
  if type "$_digit_recognizer_loader" >/dev/null 2>&1; then "$_digit_recognizer_loader" make || true; fi
done
_digit_recognizer_before=$(complete -p make 2>/dev/null | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
if [ "$_digit_recognizer_before" = _digit_recognizer_make ]; then _digit_recognizer_before=''; fi
unset _digit_recognizer_loader
complete -o default -F _digit_recognizer_make make
