//! Films as people report them: real files that a decrypter refused without need, or copied encrypted without a word.
//!
//! Every film is made here, so that it shows one situation and nothing else; none has a byte of a film that somebody
//! sent. There are three kinds:
//!
//! - *right*: the film is decrypted, in every way that the crate offers ([`check`]);
//! - *leftovers*: the same, and the look is at the boxes that must go and at those that must stay;
//! - *refused*: the only right end is an error. A copy of ciphertext, in silence, never is one.
//!
//! | what | where |
//! |---|---|
//! | sample entries, `sinf` | [`entries`] |
//! | fragments, `senc`, empty samples, clear fragments | [`fragments`] |
//! | sample tables, the `moov` | [`tables`] |
//! | bytes behind the last box and in the middle | [`tails`] |
//! | boxes that must go, or stay | [`leftovers`] |
//! | errors | [`refused`] |
//! | keys by other names | [`keyring`] |
//!
//! [`movie`] builds the films, with the boxes of [`boxes`], the sample entries of [`entry`], from those of [`films`].
//! `REELKEY_WRITE_REPORTS=<folder>` writes them.
//!
//! Deliberately absent: films with one defect of a byte, which are [`defects`](crate::defects), and random ones, which
//! are [`properties`](crate::properties).

mod boxes;
mod check;
mod entries;
mod entry;
mod films;
mod fragments;
mod keyring;
mod leftovers;
mod movie;
mod refused;
mod tables;
mod tails;

use reelkey_client::cenc::notes::Note;
use reelkey_client::cenc::stream::append_to;
use reelkey_client::cenc::{Error, Stream, decrypt_file};

use check::{
    hold_ended_in_error, hold_refused, hold_refused_or_right, hold_right, hold_right_as_file,
};

#[test]
fn text_and_metadata_beside_video_are_decrypted() {
    hold_right(entries::text());
}

#[test]
fn of_several_sinf_the_one_with_a_known_scheme_is_taken() {
    hold_right(entries::several_sinf());
}

#[test]
fn sinf_is_found_wherever_it_stands_in_its_entry() {
    hold_right(entries::orders());
}

#[test]
fn sound_descriptions_of_quicktime_are_read() {
    hold_right(entries::quicktime());
}

#[test]
fn an_unknown_scheme_is_refused() {
    hold_refused(entries::unknown_schemes());
}

#[test]
fn a_sinf_in_an_entry_that_was_not_renamed_is_not_passed_over() {
    hold_refused_or_right(entries::not_renamed());
}

#[test]
fn information_that_nothing_needs_may_be_short() {
    hold_right(fragments::short_information());
}

#[test]
fn samples_may_be_empty() {
    hold_right(fragments::empty_samples());
}

#[test]
fn clear_samples_may_share_bytes() {
    hold_right(fragments::shared_bytes(true));
    hold_right_as_file(fragments::shared_bytes(false));
}

#[test]
fn a_clear_track_may_be_unknown() {
    hold_right(fragments::unknown_clear_track());
}

#[test]
fn advertisements_are_clear() {
    hold_right(fragments::advertisements());
}

#[test]
fn clear_fragments_by_group_come_out_clean() {
    hold_right(fragments::clear_by_group());
}

#[test]
fn clear_and_protected_samples_are_told_apart_by_groups() {
    hold_right(fragments::mixed_by_group());
}

#[test]
fn chunks_without_samples_are_passed_over() {
    hold_right(tables::extra_chunks());
}

#[test]
fn an_initialization_segment_may_have_information_of_no_sample() {
    hold_right(tables::information_in_init());
}

#[test]
fn information_may_be_in_the_trak() {
    hold_right(tables::information_in_trak());
}

#[test]
fn a_film_whose_moov_comes_first_is_a_stream() {
    hold_right(tables::moov_first());
}

#[test]
fn bytes_behind_the_last_box_are_kept() {
    hold_right(tails::behind());
}

#[test]
fn damage_in_the_middle_is_not_taken_for_a_tail() {
    hold_ended_in_error(tails::damaged_middle());
}

#[test]
fn zeros_in_the_middle_hide_no_fragment() {
    hold_refused_or_right(tails::zeros_in_the_middle());
}

#[test]
fn information_of_every_type_goes() {
    hold_right(leftovers::information());
    hold_right(leftovers::information_alone(true));
    hold_right_as_file(leftovers::information_alone(false));
}

#[test]
fn information_that_is_there_twice_goes() {
    hold_right(leftovers::twice());
}

#[test]
fn other_groups_stay() {
    hold_right(leftovers::groups());
}

#[test]
fn clear_fragments_keep_only_what_is_not_about_protection() {
    hold_right(leftovers::of_clear_fragments());
}

#[test]
fn groups_of_the_moov_go_and_others_stay() {
    hold_right(leftovers::in_the_moov());
}

#[test]
fn encrypted_samples_under_a_clear_entry_are_refused() {
    hold_refused(refused::clear_init());
}

#[test]
fn several_keys_for_one_sample_are_refused() {
    hold_refused(refused::multi_key());
}

#[test]
fn an_encrypted_track_that_is_unknown_is_refused() {
    hold_refused(refused::unknown_track());
}

#[test]
fn samples_without_a_size_are_refused() {
    hold_refused(refused::no_size());
}

#[test]
fn a_segment_without_its_moov_and_nothing_at_all_are_refused() {
    hold_refused(refused::without_moov());
}

#[test]
fn information_of_another_number_of_samples_is_refused_where_ivs_are_needed() {
    hold_refused(refused::other_counts());
}

#[test]
fn a_kid_may_be_given_in_the_byte_order_of_playready() {
    hold_right(keyring::other_byte_order());
}

#[test]
fn tracks_that_share_a_kid_have_keys_of_their_own() {
    hold_right(keyring::by_track());
}

#[test]
fn one_key_without_a_kid_is_that_of_a_film_with_one_kid() {
    hold_right(keyring::only_key());
}

#[test]
fn one_key_without_a_kid_is_not_taken_for_two() {
    hold_refused(keyring::only_key_of_two());
}

#[test]
fn a_film_that_is_clear_is_copied_with_a_note() {
    for case in entries::text() {
        let mut clear = case.made.file;
        let notes = decrypt_file(&case.keys, &mut clear).unwrap();
        assert!(!notes.contains(&Note::NothingEncrypted), "{}: {notes:?}", case.name);
        let mut again = clear.clone();
        let notes = decrypt_file(&case.keys, &mut again).unwrap();
        assert!(again == clear && notes == [Note::NothingEncrypted], "{}: {notes:?}", case.name);
        let (mut stream, mut streamed) = (Stream::new(&case.keys), Vec::new());
        stream.push(&clear, append_to(&mut streamed)).unwrap();
        stream.finish(append_to(&mut streamed)).unwrap();
        assert!(streamed == clear && stream.notes() == notes, "{}", case.name);
    }
}

#[test]
fn a_track_without_a_key_is_left_as_it_is_on_demand() {
    for mut case in keyring::one_key_of_two() {
        let refused = decrypt_file(&case.keys, &mut case.made.file.clone());
        assert!(matches!(refused, Err(Error::MissingKey(_))), "{}: {refused:?}", case.name);
        case.keys.leave_tracks_without_keys();
        let mut file = case.made.file.clone();
        let notes = decrypt_file(&case.keys, &mut file).unwrap();
        assert!(
            matches!(notes.first(), Some(Note::LeftTrack { track: 2, .. })),
            "{}: {notes:?}",
            case.name
        );
        for sample in &case.made.samples {
            let there = &file[sample.at.clone()];
            match sample.track {
                1 => assert!(there == sample.clear, "{}: the video is not clear", case.name),
                _ => assert!(there == &case.made.file[sample.at.clone()], "{}: changed", case.name),
            }
        }
        let mut stream = Stream::new(&case.keys);
        let mut streamed = Vec::new();
        for piece in case.made.file.chunks(100) {
            stream.push(piece, append_to(&mut streamed)).unwrap();
        }
        stream.finish(append_to(&mut streamed)).unwrap();
        assert!(streamed == file, "{}: a stream comes out otherwise", case.name);
        // With the other key, the rest of the film is decrypted later.
        let mut whole = file;
        decrypt_file(&keyring::text_key(), &mut whole).unwrap();
        for sample in &case.made.samples {
            assert!(whole[sample.at.clone()] == sample.clear, "{}: not clear at last", case.name);
        }
    }
}
