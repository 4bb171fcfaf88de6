# bash completion for ftrun
_ftrun() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  case $before in
    --role) COMPREPLY=($(compgen -W 'solo central stage local' -- "$word")); return ;;
    --schedule) COMPREPLY=($(compgen -W 'sync async' -- "$word")); return ;;
    --shuffle) COMPREPLY=($(compgen -W 'on off' -- "$word")); return ;;
    --loss) COMPREPLY=($(compgen -W 'cross-entropy mse' -- "$word")); return ;;
    --progress) COMPREPLY=($(compgen -W 'auto bar lines json none' -- "$word")); return ;;
    --board)
      COMPREPLY=($(compgen -W 'raspberry-pi-3 raspberry-pi-4 raspberry-pi-5 jetson-nano
        jetson-orin generic-arm64 generic-armhf none' -- "$word"))
      return ;;
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W '--help --version --data --batch-size --seed --threads --board --role
      --stages --workers --listen --central --advertise --name --partition --memory
      --failure-timeout --heartbeat --slowdown --insecure --keys --central-key --allow --schedule
      --micro-batches
      --aggregate-every --epochs --batches --shuffle --optimizer --lr --momentum --nesterov
      --weight-decay --lr-schedule --wire --loss --freeze --train --tie --untie
      --replicate-every --global-every --run-dir
      --resume --discard-run --progress --export --profile --json --measure --devices --logits
      --output' -- "$word"))
    return
  fi
  COMPREPLY=($(compgen -f -- "$word"))
  if ((COMP_CWORD == 1)); then
    COMPREPLY+=($(compgen -W 'inspect plan eval export replay keygen doctor' -- "$word"))
  fi
}
complete -o filenames -F _ftrun ftrun
