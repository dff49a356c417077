#compdef tillbox

local config='--config[the config file]:file:_files'
local help='(-h --help)'{-h,--help}'[print a summary]'
local -a commands=(
    'run:poll, keep and forward until SIGTERM'
    'provision:take the config over from the boot partition'
    'check:read the config and name every fault in it'
    'status:how the running box is doing'
    'outbox:what waits for headquarters'
    'authorize:get a token by logging in once'
    'demo:the whole thing on this machine'
)

if (( CURRENT == 2 )); then
    _describe command commands
    _arguments $help '(-V --version)'{-V,--version}'[print the version]'
    return
fi
case $words[2] in
    run) _arguments '2:' '--stay[wait for a better config]' $config $help ;;
    provision) _arguments '2:' '*--boot[the boot partition]:folder:_files -/' $config $help ;;
    check) _arguments '2:' '--online[try what the config names]' '--json[answer with one JSON value]' $config $help ;;
    status) _arguments '2:' '--json[answer with one JSON value]' $config $help ;;
    authorize) _arguments '2:' '--connection[the connection to authorize]:name:' $config $help ;;
    demo) _arguments '2:' '--seed[the random seed]:number:' '--sales[how many]:number:' \
        '--sabotage[a fault to find]:fault:(drop-one)' '--keep-running[stay when done]' $help ;;
    outbox)
        if (( CURRENT == 3 )); then
            local -a looks=(
                'list:what waits'
                'show:one waiting event'
                'export:all waiting events'
                'gaps:what is not proven, and how a person ends it'
                'close-gap:close a gap that nothing can prove'
                'dismiss:dismiss a record that cannot be read'
                'move:give the box to the outlet that the config names'
                'send:send a store that was set aside'
                'take-over:take the outlet back from another box'
                'same-account:the account that answers is the same shop'
            )
            _describe look looks
            return
        fi
        case $words[3] in
            list) _arguments '*:' '--json[answer with one JSON value]' '--limit[events at most]:number:' $config $help ;;
            show) _arguments '*:' $config $help ;;
            export) _arguments '*:' '--from[the first number]:number:' $config $help ;;
            gaps) _arguments '*:' '--json[answer with one JSON value]' $config $help ;;
            close-gap | dismiss) _arguments '4:handle:' '--by[who says so]:name:' '--reason[why]:text:' $config $help ;;
            move) _arguments '*:' '--set-aside[send nothing now]' '--patience[time without progress]:time:' \
                '--yes[ask nobody]' $config $help ;;
            send) _arguments '4:folder:_files -/' '--patience[time without progress]:time:' '--yes[ask nobody]' \
                $config $help ;;
            take-over | same-account) _arguments '*:' '--yes[ask nobody]' $config $help ;;
        esac
        ;;
esac
