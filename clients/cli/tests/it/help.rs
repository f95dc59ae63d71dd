//! Every word of help, so that a change of the command line is seen as one.

use clap::CommandFactory;
use spanlake_cli::Args;

use crate::desk::Desk;

#[test]
fn help_says_what_it_said() {
    let mut command = Args::command().term_width(100);
    command.build();
    let mut pages = String::new();
    helps(&command, &mut pages);
    insta::assert_snapshot!(pages);
}

fn helps(command: &clap::Command, pages: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    *pages += &format!("=== {name}\n{}\n", command.clone().term_width(100).render_help());
    for below in command.get_subcommands() {
        helps(below, pages);
    }
}

#[test]
fn the_command_line_is_consistent() {
    Args::command().debug_assert();
}

#[tokio::test]
async fn completions_and_the_manual_page_know_every_command() {
    let desk = Desk::at("http://127.0.0.1:1".into());
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = desk.run(&["completions", shell]).await;
        assert!(script.code == 0 && script.out.contains("dry-run") && script.out.contains("whoami"), "{shell}");
    }
    let manual = desk.run(&["man"]).await;
    for word in [".TH", "SPANLAKE EXPORT TRACES", "SPANLAKE KEYS CREATE", "dry", "correctness"] {
        assert!(manual.out.contains(word), "{word} is not in {}", manual.out);
    }
}
