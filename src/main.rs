//! The program `nicho`: the command line, with the models of the catalogue.

fn main() -> std::process::ExitCode {
    nicho::cli::main(Vec::new())
}
