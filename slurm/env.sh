# Sourced by every script of this folder: what a site changes, in one place. A variable that is set when the job is
# submitted comes before what stands here: NICHO=~/bin/nicho sbatch slurm/run.sbatch …
# shellcheck shell=bash disable=SC2034 # the scripts that source it use what it sets

# Modules: the MPI and the HDF5 that nicho was built with.
# module purge
# module load openmpi hdf5

# The program, built with --features mpi, on a file system that every node sees.
NICHO=${NICHO:-$(dirname "${BASH_SOURCE[0]}")/../target/release/nicho}

# How srun tells the ranks of each other: pmix for Open MPI, pmi2 for MPICH and its relatives (Intel MPI, MVAPICH, Cray).
# A wrong one starts every rank as if it were alone; nicho then stops. `srun --mpi=list` shows what there is.
if [[ -z ${NICHO_PMI:-} ]]; then
    case $(ldd "$NICHO" 2>/dev/null) in
        *libmpich* | *libmpi.so.12*) NICHO_PMI=pmi2 ;;
        *libmpi.so*) NICHO_PMI=pmix ;;
        *) NICHO_PMI=none ;;
    esac
fi

# More for srun, for example: NICHO_SRUN=(--cpu-bind=cores --distribution=block:block)
[[ -v NICHO_SRUN ]] || NICHO_SRUN=()

# A rank that dies takes the job back into the queue. But not for ever: this many deaths in a row, each within this many
# seconds of a start, end it.
NICHO_DEATHS=${NICHO_DEATHS:-3}
NICHO_SETTLED=${NICHO_SETTLED:-600}

# The network, where MPI does not find it by itself.
# export OMPI_MCA_btl_tcp_if_include=ib0   # Open MPI over TCP
# export UCX_NET_DEVICES=mlx5_0:1          # UCX
