# fish completion for tillbox

set -l commands run provision check status outbox authorize demo
set -l bare "not __fish_seen_subcommand_from $commands"
set -l looking '__fish_seen_subcommand_from outbox; and not __fish_seen_subcommand_from list show export move send take-over same-account'

complete -c tillbox -f
complete -c tillbox -s h -l help -d 'Print a summary'
complete -c tillbox -n $bare -s V -l version -d 'Print the version'
complete -c tillbox -n $bare -a run -d 'Poll, keep and forward until SIGTERM'
complete -c tillbox -n $bare -a provision -d 'Take the config over from the boot partition'
complete -c tillbox -n $bare -a status -d 'How the running box is doing'
complete -c tillbox -n $bare -a check -d 'Read the config and name every fault in it'
complete -c tillbox -n $bare -a outbox -d 'What waits for headquarters'
complete -c tillbox -n $bare -a authorize -d 'Get a token by logging in once'
complete -c tillbox -n $bare -a demo -d 'The whole thing on this machine'
complete -c tillbox -n '__fish_seen_subcommand_from run provision check status outbox authorize' -l config -r -F -d 'The config file'
complete -c tillbox -n '__fish_seen_subcommand_from authorize' -l connection -x -d 'The connection to authorize'
complete -c tillbox -n $looking -a list -d 'What waits'
complete -c tillbox -n $looking -a show -d 'One waiting event'
complete -c tillbox -n $looking -a export -d 'All waiting events'
complete -c tillbox -n $looking -a move -d 'Give the box to the outlet that the config names'
complete -c tillbox -n $looking -a send -d 'Send a store that was set aside'
complete -c tillbox -n $looking -a take-over -d 'Take the outlet back from another box'
complete -c tillbox -n $looking -a same-account -d 'The account that answers is the same shop'
complete -c tillbox -n '__fish_seen_subcommand_from send' -F
complete -c tillbox -n '__fish_seen_subcommand_from move' -l set-aside -d 'Send nothing now'
complete -c tillbox -n '__fish_seen_subcommand_from move send' -l patience -x -d 'Time without progress'
complete -c tillbox -n '__fish_seen_subcommand_from move send take-over same-account' -l yes -d 'Ask nobody'
complete -c tillbox -n '__fish_seen_subcommand_from run' -l stay -d 'Wait for a better config'
complete -c tillbox -n '__fish_seen_subcommand_from provision' -l boot -r -d 'The boot partition'
complete -c tillbox -n '__fish_seen_subcommand_from check' -l online -d 'Try what the config names'
complete -c tillbox -n '__fish_seen_subcommand_from check status list' -l json -d 'Answer with one JSON value'
complete -c tillbox -n '__fish_seen_subcommand_from list' -l limit -x -d 'Events at most'
complete -c tillbox -n '__fish_seen_subcommand_from export' -l from -x -d 'The first number'
complete -c tillbox -n '__fish_seen_subcommand_from demo' -l seed -x -d 'The random seed'
complete -c tillbox -n '__fish_seen_subcommand_from demo' -l sales -x -d 'How many'
complete -c tillbox -n '__fish_seen_subcommand_from demo' -l sabotage -x -a drop-one -d 'A fault to find'
complete -c tillbox -n '__fish_seen_subcommand_from demo' -l keep-running -d 'Stay when done'
