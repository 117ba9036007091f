# Sourced by run.sbatch and array.sbatch: runs nicho on the ranks of a job, and puts the job back into the queue until it
# is finished.
# shellcheck shell=bash

# shellcheck source-path=SCRIPTDIR source=env.sh
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# This job. The plain id of one task can be that of the whole array, and a requeue would take all its tasks.
job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
job=${job:-$SLURM_JOB_ID}

say() { printf '[%(%F %T)T] %s\n' -1 "$*" >&2; }

# What Slurm says of this job under NAME.
record() { scontrol -o show job "$job" | sed -n "s/.* $1=\([^ ]*\).*/\1/p"; }

# Does the job go on, as far as Slurm knows? While Slurm sends a signal it calls the job SIGNALING.
running() { [[ $(record JobState) =~ ^(RUNNING|SIGNALING)$ ]]; }

# ranks [SRUN OPTIONS] -- ARGUMENTS: nicho on all ranks of the job, or as many as the options say. When a rank dies the others
# hang in MPI, by default until the time is up: --wait kills them some seconds after the first has gone. It is not
# --kill-on-bad-exit, which also kills a rank that is still saving, or about to exit with the same code as the first; srun
# then exits with 143, whatever went wrong.
ranks() {
    local options=()
    while [[ $1 != -- ]]; do options+=("$1") && shift; done
    exec srun --kill-on-bad-exit=0 --wait=15 --mpi="$NICHO_PMI" --cpus-per-task="$SLURM_CPUS_PER_TASK" \
        "${NICHO_SRUN[@]}" "${options[@]}" "$NICHO" "${@:2}" --threads "$SLURM_CPUS_PER_TASK"
}

again() {
    say "$1: back into the queue"
    scontrol requeue "$job"
    sleep 60 # Slurm ends the script
    exit 75
}

# A rank was killed, or a node left: whatever was simulated is in the journal. Deaths soon after a start are counted.
died() {
    local file=nicho-$SLURM_JOB_ID.deaths count=0
    if ((SECONDS < NICHO_SETTLED)); then
        [[ ! -e $file ]] || read -r count <"$file"
        ((count += 1))
    fi
    if ((count >= NICHO_DEATHS)); then
        rm -f "$file"
        say "srun exited with $1, $count times in a row within $NICHO_SETTLED s of a start: this is given up"
        exit "$1"
    fi
    echo "$count" >"$file"
    again "srun exited with $1: a rank or a node died"
}

# to_the_end ARGUMENTS: nicho run ARGUMENTS, in as many starts as it takes.
to_the_end() {
    local code woken time_up=''
    say "job $job, start $((${SLURM_RESTART_COUNT:-0} + 1)): $SLURM_NTASKS ranks of $SLURM_CPUS_PER_TASK threads on $SLURM_JOB_NODELIST"
    ranks -- run "$@" --resume &
    srun=$!
    # srun hands USR1 to the ranks, but kills them when it gets TERM. Slurm ends a job with TERM to everyone, ranks too.
    trap 'woken=yes time_up=yes; kill -USR1 "$srun" || true' USR1
    trap 'woken=yes; ! running || kill -USR1 "$srun" || true' TERM
    while :; do # a signal wakes `wait` before srun has ended
        woken=
        code=0
        wait "$srun" || code=$?
        [[ -n $woken ]] || break
    done
    case $code in
        0 | [1-6] | 69 | 70)
            rm -f "nicho-$SLURM_JOB_ID.deaths"
            exit "$code"
            ;;
    esac
    # Where Slurm itself ended the job, it knows what comes next: nothing after scancel, another start after a lost node.
    running || exit "$code"
    [[ -z $time_up ]] || again "the time is nearly up"
    # Preemption: Slurm gives some seconds of grace, and would wait them out.
    [[ $(record PreemptTime) != [0-9]* ]] || again "preempted"
    [[ $code == 75 ]] || died "$code"
    say "interrupted by a signal: the same command goes on"
    exit 75
}
