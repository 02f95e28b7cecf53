# fish completion for dbbackupctl; the candidates come from the program itself.
function __dbbackupctl_complete
    set -l before (commandline -opc)
    set -l candidates (dbbackupctl __complete -- $before[2..-1] (commandline -ct) 2>/dev/null)
    if test "$candidates" = ":files"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $candidates
    end
end
complete -c dbbackupctl -f -a '(__dbbackupctl_complete)'
