//! Rebuilds when a migration is added: `sqlx::migrate!` by itself notices changed files only.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
