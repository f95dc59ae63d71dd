//! What Spanlake promises, told as stories from the outside and run in both forms: everything in one process, and a
//! process for each service. A story's name is a guarantee; it cannot tell which form it runs against.
//!
//! ```text
//!   stories! ─┬─ standalone::<module>::<story>   a cluster of its own each, in the test's process
//!             └─ processes::every_story          one cluster of five processes, every story on it
//! ```

#![recursion_limit = "256"]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "all of this is test code; clippy sees it only inside the test functions"
)]

mod agents;
mod architecture;
mod audit;
mod bad_input;
mod canaries;
mod captured;
mod certificates;
mod client;
mod cluster;
mod command_line;
mod crash;
#[path = "../../../../clients/cli/tests/it/desk.rs"]
mod desk;
mod document;
mod doors;
mod erasing;
mod exports;
mod faults;
mod foreign;
mod isolation;
mod journey;
mod keys;
mod limits;
mod logs;
mod metrics;
mod oracle;
mod people;
mod process;
mod reading;
mod refusals;
mod scores;
mod secrets;
mod tenant;
mod visibility;
mod warehouses;
mod world;

/// Makes tests of stories, which are functions over `&Cluster`.
macro_rules! stories {
    ($($module:ident { $($story:ident,)+ })+) => {
        mod standalone {
            $(mod $module { $(
                #[tokio::test]
                async fn $story() {
                    let cluster = crate::cluster::Cluster::start(crate::cluster::Form::Standalone).await;
                    crate::$module::$story(&cluster).await;
                    cluster.stop().await;
                }
            )+ })+
        }
        mod processes {
            /// Five processes take seconds to start, so all stories share them; tenants keep them apart.
            #[tokio::test]
            async fn every_story() {
                let cluster = crate::cluster::Cluster::start(crate::cluster::Form::Processes).await;
                let mut failed = Vec::new();
                $($(
                    let name = concat!(stringify!($module), "::", stringify!($story));
                    if !crate::tell(name, crate::$module::$story(&cluster)).await {
                        failed.push(name);
                    }
                )+)+
                if !failed.is_empty() {
                    println!("{}", cluster.logs());
                }
                cluster.stop().await;
                assert!(failed.is_empty(), "{} stories failed: {failed:#?}", failed.len());
            }
        }
    };
}

stories! {
    journey {
        a_run_sent_in_any_spelling_is_read_back_exactly,
    }
    doors {
        every_otlp_path_takes_every_way_to_send_a_key,
        a_public_and_a_secret_key_of_two_pairs_are_refused,
    }
    logs {
        every_door_takes_log_records_and_gives_a_receipt,
        what_a_record_says_is_at_its_span_whichever_came_first,
        bad_records_are_refused_alone_and_counted,
        each_signal_is_told_its_own_path,
        an_agent_key_logs_for_its_agent_only,
    }
    captured {
        every_capture_comes_out_as_it_went_in,
    }
    visibility {
        an_acknowledged_span_is_in_the_next_answer,
        every_read_takes_a_receipt_and_refuses_what_is_none,
        a_batch_sent_again_and_again_shows_each_span_once,
        a_finished_span_is_never_replaced_by_an_unfinished_one,
        pages_of_a_list_hold_every_row_once_while_more_arrive,
    }
    reading {
        a_conversation_adds_up_in_its_session_and_in_metrics,
        pages_of_sessions_hold_every_one_once_while_more_arrive,
    }
    isolation {
        a_tenant_never_sees_another_on_any_route,
        the_same_ids_hold_each_tenants_own,
        what_another_owns_answers_like_what_does_not_exist,
        ids_that_look_like_paths_touch_nothing,
    }
    foreign {
        ids_of_another_tenant_are_unknown_to_every_route,
        naming_an_app_of_another_tenant_is_refused_everywhere,
    }
    scores {
        a_score_is_there_once_however_often_it_is_given,
        scores_show_at_their_trace_and_their_span,
        lists_and_exports_are_filtered_by_scores,
        a_batch_is_answered_score_by_score,
        every_spelling_of_a_score_is_taken,
        what_is_deleted_takes_its_scores_along,
        an_agent_key_sees_the_scores_it_gave,
        scores_are_shown_for_ninety_days,
        pages_of_scores_hold_every_one_once_while_more_arrive,
    }
    exports {
        an_export_lies_in_files_that_add_up_with_the_api,
    }
    audit {
        what_is_done_with_data_is_on_record,
    }
    refusals {
        every_documented_operation_says_who_may_use_it,
        strangers_are_refused_everywhere,
        a_key_without_the_scope_is_refused_everywhere,
        what_is_for_owners_is_refused_to_every_key,
        each_role_opens_what_the_table_says_and_nothing_else,
        what_is_not_documented_is_not_there,
        grpc_refuses_strangers_and_keys_without_the_scope,
        internal_ports_refuse_who_does_not_show_the_token,
        an_access_token_reads_and_a_refresh_token_opens_nothing,
        nothing_of_a_refused_request_is_kept,
    }
    erasing {
        what_is_deleted_is_gone_at_once_and_from_the_disk_with_a_receipt,
        a_deleted_trace_answers_like_one_that_never_was,
        a_read_while_files_are_rewritten_neither_misses_nor_doubles_a_row,
        spans_past_their_time_are_not_shown,
        a_deleted_tenant_lets_nobody_in_and_leaves_the_disk,
        a_deleted_app_has_a_receipt_of_its_own_id,
    }
    bad_input {
        a_body_of_another_type_is_told_which_to_send,
        what_cannot_be_decoded_is_refused_in_its_own_encoding,
        an_oversize_request_is_refused_plain_and_unpacked,
        bad_spans_are_refused_alone_and_counted,
        one_bad_value_takes_nothing_else_down_at_any_door,
        a_malformed_span_is_refused_alone_at_both_doors_of_protobuf,
        an_empty_request_is_a_success_that_stores_nothing,
        an_unknown_parameter_is_named,
        a_malformed_id_is_400_and_an_unknown_one_404,
        a_body_of_ours_is_checked_field_by_field,
        spans_out_of_time_are_refused_with_the_reason,
    }
    agents {
        an_agent_key_writes_for_its_agent_only,
        a_workspace_key_names_the_agent_on_the_agentos_path,
        an_agent_key_is_told_that_another_app_is_not_its_own,
        apps_of_a_tenant_are_apart,
    }
    metrics {
        what_the_services_do_is_counted_and_names_no_tenant,
    }
    keys {
        a_revoked_key_is_refused_everywhere,
        no_secret_is_in_any_file_or_log,
        what_people_write_is_in_no_log,
    }
    people {
        a_role_change_and_a_removal_bite_in_every_service,
        whoever_runs_the_installation_can_let_an_owner_back_in,
    }
    limits {
        a_changed_limit_is_taken_everywhere_without_a_restart,
        ten_exports_an_hour_and_not_one_more,
    }
}

/// Runs one story among many; a failure is told (by the panic's own message) and does not stop the others.
async fn tell(name: &str, story: impl Future<Output = ()>) -> bool {
    use futures::FutureExt as _;
    println!("story {name}");
    let passed = std::panic::AssertUnwindSafe(story).catch_unwind().await.is_ok();
    println!("story {name}: {}", if passed { "ok" } else { "FAILED" });
    passed
}

/// The bytes of the captures themselves, at the time they were captured.
#[tokio::test]
async fn captures_go_in_byte_by_byte_at_their_own_time() {
    let clock = std::sync::Arc::new(spanlake_testkit::ManualClock::at(spanlake_testkit::captured_at()));
    let cluster = cluster::Cluster::with_clock(clock).await;
    captured::every_capture_comes_out_as_it_went_in(&cluster).await;
    cluster.stop().await;
}
