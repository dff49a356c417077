# bash completion for tillbox

_tillbox() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} options
    COMPREPLY=()
    case $before in
        --config)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
            ;;
        --sabotage)
            mapfile -t COMPREPLY < <(compgen -W 'drop-one' -- "$word")
            return
            ;;
        --connection | --limit | --from | --patience | --by | --reason | --seed | --sales) return ;;
        --boot)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -d -- "$word")
            return
            ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        options='run provision check status outbox authorize demo --help --version -h -V'
    else
        case ${COMP_WORDS[1]} in
            run) options='--config --stay --help' ;;
            provision) options='--boot --config --help' ;;
            check) options='--config --online --json --help' ;;
            status) options='--config --json --help' ;;
            authorize) options='--connection --config --help' ;;
            demo) options='--seed --sales --sabotage --keep-running --help' ;;
            outbox)
                if [ "$COMP_CWORD" -eq 2 ]; then
                    options='list show export gaps close-gap dismiss move send take-over same-account'
                else
                    case ${COMP_WORDS[2]} in
                        list) options='--config --json --limit --help' ;;
                        show) options='--config --help' ;;
                        export) options='--config --from --help' ;;
                        gaps) options='--config --json --help' ;;
                        close-gap | dismiss) options='--by --reason --config --help' ;;
                        move) options='--config --set-aside --patience --yes --help' ;;
                        send)
                            options='--config --patience --yes --help'
                            if [ "$COMP_CWORD" -eq 3 ]; then
                                compopt -o filenames 2>/dev/null
                                mapfile -t COMPREPLY < <(compgen -d -- "$word")
                                return
                            fi
                            ;;
                        take-over | same-account) options='--config --yes --help' ;;
                    esac
                fi
                ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -F _tillbox tillbox
