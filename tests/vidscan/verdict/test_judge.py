"""What scores amount to: readable scenes first, then properties that hold for any scores."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from toys import toy_face

from vidscan.errors import ScoringError
from vidscan.options import VerdictOptions
from vidscan.probability import average, combine
from vidscan.records import Box, Calibration, FaceScore, Label, ModelCard, Quality, SourceKind, StillRule
from vidscan.verdict.evidence import views_interval
from vidscan.verdict.judge import CLIP_AT, DRAWN, judge, thresholds

CARD = ModelCard("test", "none", 224, calibration=Calibration(1.0, 0.0, "nothing"))
OPTIONS = VerdictOptions()


def clip(*people, fps=2.0):
    """Faces; each person is a list of scores by sampled frame, None where unseen."""
    frames = max(len(person) for person in people)
    return [
        FaceScore(toy_face(i, fps=fps, box=Box(300.0 * who, 50, 100, 100), track=who + 1), person[i])
        for i in range(frames)
        for who, person in enumerate(people)
        if i < len(person) and person[i] is not None
    ]


def video(*people, fps=2.0, card=CARD, options=OPTIONS):
    return judge(clip(*people, fps=fps), card, options, SourceKind.VIDEO)


def still(*scores, card=CARD, options=OPTIONS):
    return judge(clip(*([score] for score in scores)), card, options, SourceKind.IMAGE)


def still_of_views(*views, card=CARD, options=OPTIONS):
    """A still with one face of these views."""
    face = replace(clip([average(views)])[0], views=views)
    return judge([face], card, options, SourceKind.IMAGE)


def but(score, **facts):
    """The same score of a face of which other things are known."""
    return replace(score, face=replace(score.face, **facts))


def spans(findings):
    return [(segment.track, segment.start_s, segment.end_s) for segment in findings.segments]


def odds(*each):
    """The probability whose odds are the quadratic mean of these."""
    mean = math.sqrt(sum(one * one for one in each) / len(each))
    return mean / (1 + mean)


def logit(p):
    return math.log(p / (1 - p))


class TestVerdictOnClips:
    def test_no_face_is_an_answer_and_no_number(self):
        findings = judge([], CARD, OPTIONS, SourceKind.VIDEO)
        assert findings.verdict.label is Label.NO_FACE
        assert findings.verdict.fake_probability is None
        assert findings.verdict.confidence is None
        assert findings.verdict.reason == "No face was found in the frames looked at."
        assert (findings.tracks, findings.timeline, findings.segments) == ((), (), ())

    def test_one_genuine_person_talking(self):
        verdict = video([0.1, 0.2] * 10).verdict
        assert verdict.label is Label.REAL
        mean = (logit(0.1) + logit(0.2)) / 2
        assert verdict.fake_probability == pytest.approx(1 / (1 + math.exp(-mean)), abs=1e-6)
        assert verdict.confidence == pytest.approx(1 - verdict.fake_probability)
        assert verdict.reason == (
            "The one person followed looks genuine: 0 of 20 sightings above the fake threshold."
        )

    def test_one_synthesised_person_talking(self):
        verdict = video([0.9] * 9 + [0.3]).verdict
        assert verdict.label is Label.FAKE
        assert verdict.confidence == verdict.fake_probability > 0.8
        assert verdict.reason == (
            "The one person followed looks synthesised: 9 of 10 sightings above the fake threshold."
        )

    def test_neither_nor(self):
        verdict = video([0.55] * 10).verdict
        assert verdict.label is Label.UNCERTAIN
        assert verdict.fake_probability == verdict.confidence == pytest.approx(0.55)
        assert "neither clearly synthesised nor clearly genuine: 0 of 10 sightings" in verdict.reason
        assert video([0.45] * 10).verdict.confidence == pytest.approx(0.55)

    def test_one_fake_among_five_people_makes_the_clip_fake(self):
        findings = video(*[[0.1] * 12] * 3, [0.9] * 12, [0.1] * 12)
        assert findings.verdict.label is Label.FAKE
        assert findings.verdict.fake_probability == pytest.approx(odds(9, 1 / 9, 1 / 9, 1 / 9, 1 / 9))
        assert findings.verdict.reason == (
            "Track 4, one of 5 people followed, looks synthesised: "
            "12 of 12 sightings above the fake threshold."
        )
        assert [track.fake_probability for track in findings.tracks] == pytest.approx([0.1] * 3 + [0.9, 0.1])

    def test_all_people_must_be_below_for_real(self):
        assert video([0.1] * 12, [0.2] * 12).verdict.label is Label.REAL
        assert "track 2 comes closest to fake" in video([0.1] * 12, [0.2] * 12).verdict.reason
        assert video([0.1] * 12, [0.6] * 12).verdict.label is Label.UNCERTAIN

    def test_what_convinces_of_one_person_does_not_of_one_among_many(self):
        alone, among = video([0.7] * 12), video([0.7] * 12, *[[0.3] * 12] * 5)
        assert (alone.verdict.label, among.verdict.label) == (Label.FAKE, Label.UNCERTAIN)
        assert "Track 1, one of 6 people followed, looks synthesised taken alone (0.70), but" in (
            among.verdict.reason
        )
        assert among.tracks[0].fake_probability == pytest.approx(0.7)

    def test_who_was_seen_less_weighs_less(self):
        brief, long = [video([0.2] * 10, [0.9] * seen).verdict for seen in (2, 10)]
        assert brief.fake_probability == pytest.approx(odds(*[0.25] * 10, 9, 9))
        assert brief.fake_probability < long.fake_probability == pytest.approx(odds(0.25, 9))

    @pytest.mark.parametrize("seen", [4, 10, 100])
    def test_a_lone_outlier_does_not_flip_a_clip(self, seen):
        findings = video([0.15] * (seen - 1) + [1.0])
        assert findings.verdict.label is not Label.FAKE
        assert findings.segments == ()
        assert video([0.85] * (seen - 1) + [0.0]).verdict.label is not Label.REAL

    def test_one_extreme_score_weighs_no_more_than_the_clip_level(self):
        assert video([0.3, 1.0]).verdict == video([0.3, 1 - CLIP_AT]).verdict
        assert video([0.3, 0.0]).verdict == video([0.3, CLIP_AT]).verdict

    def test_poor_sightings_weigh_less(self):
        scores = clip([0.9, 0.1])
        blurred = [but(scores[0], quality=Quality(sharpness=0.5)), scores[1]]
        mean = (0.5 * logit(0.9) + logit(0.1)) / 1.5
        verdict = judge(blurred, CARD, OPTIONS, SourceKind.VIDEO).verdict
        assert logit(verdict.fake_probability) == pytest.approx(mean)

    @pytest.mark.parametrize(
        ("quality", "why"),
        [
            (Quality(sharpness=0.1), "too blurred"),
            (Quality(size=0.1), "too small"),
            (Quality(pose=0.3, visible=0.2), "covered, cut off or unclear"),
            (Quality(pose=0.2, visible=0.3), "turned away too far"),
        ],
    )
    @pytest.mark.parametrize(("score", "looks"), [(0.95, "synthesised"), (0.05, "genuine")])
    def test_no_verdict_rests_on_poor_faces_alone(self, quality, why, score, looks):
        poor = [but(face, quality=quality) for face in clip([score] * 10)]
        for kind, name in ((SourceKind.VIDEO, "The one person followed"), (SourceKind.IMAGE, "The face")):
            verdict = judge(poor if kind is SourceKind.VIDEO else poor[:1], CARD, OPTIONS, kind).verdict
            assert verdict.label is Label.UNCERTAIN
            assert verdict.reason == (
                f"{name} looks {looks}, but the picture is too poor for a verdict: the face is {why}."
            )

    def test_nobody_is_called_fake_by_faces_without_the_detail_that_the_card_asks_for(self):
        faces, card = clip([0.99] * 10), replace(CARD, least_detail=0.1)
        blurred = [but(face, detail=0.09) for face in faces]
        genuine = [replace(face, fake_probability=0.01) for face in blurred]
        for kind, seen in ((SourceKind.VIDEO, 10), (SourceKind.IMAGE, 1)):
            verdict = judge(blurred[:seen], card, OPTIONS, kind).verdict
            assert verdict.label is Label.UNCERTAIN
            assert verdict.fake_probability == pytest.approx(0.99)
            assert verdict.reason.endswith(
                "blurred, enlarged or too small, and genuine ones then look so too."
            )
            assert judge(genuine[:seen], card, OPTIONS, kind).verdict.label is Label.REAL
            enough = [but(face, detail=0.1) for face in faces[:seen]]
            assert judge(enough, card, OPTIONS, kind).verdict.label is Label.FAKE
            assert judge(blurred[:seen], CARD, OPTIONS, kind).verdict.label is Label.FAKE

    @pytest.mark.parametrize("kind", SourceKind)
    def test_a_drawing_is_called_fake_and_never_real(self, kind: SourceKind):
        seen = 10 if kind is SourceKind.VIDEO else 1
        for score, label in ((0.01, Label.REAL), (0.99, Label.FAKE)):
            faces = clip([score] * seen)
            drawn = [but(face, outlines=DRAWN) for face in faces]
            nearly = [but(face, outlines=DRAWN - 0.1) for face in faces]
            assert judge(nearly, CARD, OPTIONS, kind).verdict.label is label
            verdict = judge(drawn, CARD, OPTIONS, kind).verdict
            assert verdict.label is (Label.UNCERTAIN if label is Label.REAL else label)
            assert ("of a drawing" in verdict.reason) == (label is Label.REAL)

    def test_a_sharp_fake_is_called_one_beside_a_more_suspicious_blurred_face(self):
        faces = [
            but(face, detail=0.05) if face.face.track == 2 else face
            for face in clip([0.95] * 10, [0.99] * 10)
        ]
        verdict = judge(faces, replace(CARD, least_detail=0.1), OPTIONS, SourceKind.VIDEO).verdict
        assert verdict.label is Label.FAKE
        assert verdict.tracks == (1,)

    def test_a_poor_face_in_the_background_takes_no_verdict_away(self):
        scores = clip([0.95] * 10, [0.1] * 10)
        scores = [but(s, quality=Quality(sharpness=0.1)) if s.face.track == 2 else s for s in scores]
        assert judge(scores, CARD, OPTIONS, SourceKind.VIDEO).verdict.label is Label.FAKE

    def test_a_single_sighting_decides_no_clip(self):
        for score, looks in ((0.99, "synthesised"), (0.01, "genuine")):
            verdict = video([score]).verdict
            assert verdict.label is Label.UNCERTAIN
            assert verdict.fake_probability == pytest.approx(score)
            assert verdict.confidence == pytest.approx(0.99)
            assert verdict.reason == (
                f"The one person followed looks {looks}, but was seen only once, too little for a verdict."
            )

    def test_a_single_sighting_beside_others_neither_makes_nor_hides_a_fake(self):
        passing = video([0.1] * 3, [0.95]).verdict
        assert passing.label is Label.UNCERTAIN
        assert passing.fake_probability == pytest.approx(odds(19, 1 / 9, 1 / 9, 1 / 9))
        assert "Track 2" in passing.reason
        sure = video([0.9] * 3, [0.95]).verdict
        assert sure.label is Label.FAKE
        assert "Track 1" in sure.reason

    def test_few_sightings_are_admitted(self):
        assert "0 of 2 sightings above the fake threshold, which is little to go by" in (
            video([0.1, 0.1]).verdict.reason
        )
        assert "little to go by" not in video([0.1] * 3).verdict.reason

    def test_an_uncalibrated_score_is_called_so(self):
        bare = replace(CARD, calibration=None)
        note = "The score is uncalibrated: it ranks clips, and is no probability."
        for score in (0.1, 0.5, 0.9):
            assert video([score] * 5, card=bare).verdict.reason.endswith(f". {note}")
            assert note not in video([score] * 5).verdict.reason


class TestEnsembles:
    CARDS = (replace(CARD, name="a"), replace(CARD, name="b", fake_threshold=0.9, real_threshold=0.2))

    def both(self, first, second, *, card=CARD, options=OPTIONS, kind=SourceKind.VIDEO):
        """One person as two members of like weight score them."""
        pairs = list(zip(first, second, strict=True))
        scores = clip([combine(pair, (1, 1)) for pair in pairs])
        scores = [replace(score, members=pair) for score, pair in zip(scores, pairs, strict=True)]
        return judge(scores, card, options, kind, members=self.CARDS)

    def test_each_member_is_judged_by_its_own_card(self):
        members = self.both([0.8] * 5, [0.8] * 5).verdict.members
        assert [(said.name, said.label) for said in members] == [("a", Label.FAKE), ("b", Label.UNCERTAIN)]
        assert [said.fake_probability for said in members] == pytest.approx([0.8, 0.8])

    def test_thresholds_asked_for_hold_for_members_too(self):
        members = self.both([0.8] * 5, [0.8] * 5, options=VerdictOptions(fake_threshold=0.7)).verdict.members
        assert [said.label for said in members] == [Label.FAKE, Label.FAKE]

    @pytest.mark.parametrize("kind", SourceKind)
    def test_fake_against_real_is_said(self, kind):
        reason = self.both([0.9] * 5, [0.1] * 5, kind=kind).verdict.reason
        assert reason.endswith(" The members disagree: a alone says FAKE (0.90), b alone says REAL (0.10).")

    @pytest.mark.parametrize("scores", [(0.9, 0.95), (0.1, 0.1), (0.9, 0.5), (0.5, 0.1)])
    def test_less_than_that_is_no_disagreement(self, scores):
        assert "disagree" not in self.both([scores[0]] * 5, [scores[1]] * 5).verdict.reason

    def test_it_comes_after_the_other_notes_with_names_as_they_are(self):
        bare = replace(CARD, calibration=None)
        reason = self.both([0.9] * 5, [0.1] * 5, card=bare).verdict.reason
        assert "is no probability. The members disagree: a alone says FAKE" in reason

    def test_a_tracks_members_combine_to_its_score(self):
        findings = self.both([0.9, 0.3, 0.99, 1.0], [0.2, 0.6, 0.0, 0.7])
        (track,) = findings.tracks
        assert combine(track.members, (1, 1)) == pytest.approx(track.fake_probability, abs=1e-6)
        assert findings.timeline[3].faces[0].members == (1.0, 0.7)

    def test_no_face_is_no_answer_of_the_members_either(self):
        assert judge([], CARD, OPTIONS, SourceKind.VIDEO, members=self.CARDS).verdict.members == ()


class TestTracks:
    def test_a_track_says_when_and_how_often_it_was_seen(self):
        findings = video([None, 0.1, None, 0.1, 0.1], [0.2] * 5)
        first, second = findings.tracks
        assert (first.id, first.start_s, first.end_s, first.faces) == (1, 0.5, 2.0, 3)
        assert (second.id, second.start_s, second.end_s, second.faces) == (2, 0.0, 2.0, 5)

    @pytest.mark.parametrize(("seen", "counted"), [(1, False), (6, False), (7, True)])
    def test_short_tracks_do_not_count(self, seen, counted):
        findings = video([0.1] * 35, [0.95] * seen)
        assert findings.tracks[1].counted is counted
        assert findings.verdict.label is (Label.FAKE if counted else Label.REAL)

    def test_one_sighting_does_not_count_beside_four(self):
        assert [track.counted for track in video([0.1] * 4, [0.8]).tracks] == [True, False]
        assert [track.counted for track in video([0.1] * 3, [0.8]).tracks] == [True, True]

    def test_the_share_is_an_option(self):
        halves = VerdictOptions(min_track_share=0.5)
        assert [track.counted for track in video([0.1] * 10, [0.9] * 4, options=halves).tracks] == [
            True,
            False,
        ]
        assert any(
            track.counted for track in video([0.1] * 10, options=VerdictOptions(min_track_share=9)).tracks
        )

    def test_exactly_the_share_is_enough(self):
        # In floating point, 0.07 * 100 is a little more than 7.
        share = VerdictOptions(min_track_share=0.07)
        assert all(track.counted for track in video([0.1] * 100, [0.1] * 7, options=share).tracks)

    def test_a_short_track_that_scores_high_is_mentioned(self):
        verdict = video([0.1] * 40, [0.97, 0.97], [0.5]).verdict
        assert verdict.label is Label.REAL
        assert verdict.fake_probability == pytest.approx(0.1)
        assert "Track 2 scored 0.97, but in only 2 sightings, so it is not counted" in verdict.reason
        assert "The one person followed" in verdict.reason
        assert "not counted" not in video([0.1] * 40, [0.7, 0.7]).verdict.reason


class TestStills:
    def test_no_face(self):
        findings = judge([], CARD, OPTIONS, SourceKind.IMAGE)
        assert findings.verdict.label is Label.NO_FACE
        assert findings.verdict.reason == "No face was found in the picture."

    @pytest.mark.parametrize(
        ("score", "label", "reason"),
        [
            (0.93, Label.FAKE, "looks synthesised: its score of 0.93 reaches the fake threshold of 0.60."),
            (
                0.10,
                Label.REAL,
                "looks genuine: its score of 0.10 does not exceed the real threshold of 0.40.",
            ),
            (0.50, Label.UNCERTAIN, "genuine: its score of 0.50 lies between 0.40 and 0.60."),
        ],
    )
    def test_one_face_decides_a_still(self, score, label, reason):
        findings = still(score)
        assert findings.verdict.label is label
        assert findings.verdict.reason.startswith("The face looks ")
        assert findings.verdict.reason.endswith(reason)
        assert "little" not in findings.verdict.reason

    def test_every_face_of_a_still_counts(self):
        findings = still(0.1, 0.2, 0.9)
        assert all(track.counted for track in findings.tracks)
        assert findings.verdict.label is Label.FAKE
        assert findings.verdict.reason.startswith("Face 3 (of 3) looks synthesised")
        assert still(0.1, 0.2).verdict.reason == (
            "The 2 faces look genuine: the highest score is 0.20 (face 2)."
        )

    def test_views_that_differ_are_told_and_widen_the_interval(self):
        agreeing, apart = still_of_views(0.8, 0.8, 0.8, 0.8), still_of_views(0.8, 0.9, 0.3, 0.95)
        assert "mirrored" not in agreeing.verdict.reason
        assert apart.verdict.reason.endswith(
            " Mirrored or cut out a little differently, the face scores from 0.30 to 0.95, which would not "
            "always be the same verdict."
        )
        assert agreeing.verdict.interval == still(0.8).verdict.interval
        assert apart.verdict.interval == views_interval((0.8, 0.9, 0.3, 0.95), CARD.calibration.spread)
        assert agreeing.timeline[0].faces[0].views == (0.8, 0.8, 0.8, 0.8)

    def test_views_within_one_verdict_are_not_told(self):
        for views in ((0.61, 0.99), (0.01, 0.39), (0.41, 0.59)):
            assert "mirrored" not in still_of_views(*views).verdict.reason.lower()
        for views in ((0.59, 0.9), (0.1, 0.41)):
            assert "Mirrored" in still_of_views(*views).verdict.reason

    def test_a_still_has_one_moment_and_no_segments(self):
        scores = clip([0.9], [0.2])
        late = [but(score, time_s=7.0) for score in scores]
        findings = judge(late, CARD, OPTIONS, SourceKind.IMAGE)
        assert [(point.time_s, point.fake_probability) for point in findings.timeline] == [(0.0, 0.9)]
        assert [face.fake_probability for face in findings.timeline[0].faces] == [0.9, 0.2]
        assert {(track.start_s, track.end_s) for track in findings.tracks} == {(0.0, 0.0)}
        assert findings.segments == ()


class TestThresholds:
    def test_the_cards_hold_unless_options_say_otherwise(self):
        card = replace(CARD, fake_threshold=0.8, real_threshold=0.3)
        assert thresholds(card, OPTIONS) == (0.8, 0.3)
        assert thresholds(card, VerdictOptions(fake_threshold=0.5)) == (0.5, 0.3)
        assert thresholds(card, VerdictOptions(real_threshold=0.5)) == (0.8, 0.5)
        assert thresholds(card, VerdictOptions(fake_threshold=0.7, real_threshold=0.2)) == (0.7, 0.2)

    def test_the_one_that_was_asked_for_prevails(self):
        assert thresholds(CARD, VerdictOptions(fake_threshold=0.3)) == (0.3, 0.3)
        assert thresholds(CARD, VerdictOptions(real_threshold=0.7)) == (0.7, 0.7)

    def test_they_are_used(self):
        strict = VerdictOptions(fake_threshold=0.9, real_threshold=0.05)
        assert video([0.8] * 9).verdict.label is Label.FAKE
        assert video([0.8] * 9, options=strict).verdict.label is Label.UNCERTAIN
        assert video([0.1] * 9, options=strict).verdict.label is Label.UNCERTAIN

    @pytest.mark.parametrize("threshold", [0.6, 0.7, 0.55, 0.123])
    def test_a_score_on_the_threshold_is_within(self, threshold):
        options = VerdictOptions(fake_threshold=threshold, real_threshold=0.0)
        assert video([threshold] * 7, options=options).verdict.label is Label.FAKE
        options = VerdictOptions(fake_threshold=1.0, real_threshold=threshold)
        assert video([threshold] * 7, options=options).verdict.label is Label.REAL


class TestTimeline:
    def test_one_point_per_frame_with_a_face_and_its_highest_score(self):
        findings = video([0.1, 0.3, None, 0.2], [0.2, None, None, 0.9])
        points = [(point.time_s, point.fake_probability, len(point.faces)) for point in findings.timeline]
        assert points == [(0.0, 0.2, 2), (0.5, 0.3, 1), (1.5, 0.9, 2)]
        face = findings.timeline[2].faces[1]
        assert (face.track, face.box, face.detection_confidence) == (2, Box(300.0, 50, 100, 100), 0.9)

    def test_it_shows_scores_as_they_are(self):
        assert [p.fake_probability for p in video([1.0, 0.0]).timeline] == [1.0, 0.0]

    def test_it_is_sorted_whatever_order_the_scores_come_in(self):
        scores = clip([0.1, 0.2, 0.3, 0.4])
        findings = judge(scores[::-1], CARD, OPTIONS, SourceKind.VIDEO)
        assert findings == judge(scores, CARD, OPTIONS, SourceKind.VIDEO)


class TestSegments:
    def test_a_suspicious_stretch_of_a_genuine_clip_is_found_and_mentioned(self):
        findings = video([0.1] * 20 + [0.9] * 6 + [0.1] * 20)
        assert findings.verdict.label is Label.REAL
        assert spans(findings) == [(1, 10.0, 12.5)]
        assert findings.segments[0].fake_probability == pytest.approx(0.9)
        assert "1 stretch looks synthesised, from 10.0 s on" in findings.verdict.reason

    def test_a_wholly_fake_clip_is_one_segment(self):
        assert spans(video([0.9] * 10)) == [(1, 0.0, 4.5)]

    def test_a_lone_clean_sighting_does_not_break_a_stretch(self):
        options = VerdictOptions(segment_gap_s=0.0)
        findings = video([0.9] * 5 + [0.1] + [0.9] * 5, options=options)
        assert spans(findings) == [(1, 0.0, 5.0)]
        assert findings.segments[0].fake_probability == pytest.approx(0.9)

    @pytest.mark.parametrize(("clean", "segments"), [(2, 1), (3, 2)])
    def test_short_gaps_are_joined(self, clean, segments):
        # At 2 fps, two clean samples leave 1.5 s between the suspicious ones, three leave 2 s.
        findings = video([0.9] * 4 + [0.1] * clean + [0.9] * 4)
        assert len(findings.segments) == segments

    def test_neighbouring_samples_are_joined_at_low_rates(self):
        # Ten seconds apart, far more than the gap that joins.
        assert spans(video([0.1] * 3 + [0.9] * 4 + [0.1] * 3, fps=0.1)) == [(1, 30.0, 60.0)]

    def test_frames_without_a_face_do_not_stretch_the_interval(self):
        # Seen in every fourth frame: the neighbours are 4 s apart, the samples 1 s.
        every_fourth = [0.9 if i % 4 == 0 else None for i in range(20)]
        assert video(every_fourth, fps=1).segments == ()

    def test_stretches_of_several_people_are_listed_by_start(self):
        findings = video([0.1] * 10 + [0.9] * 6, [0.9] * 8 + [0.1] * 8)
        assert spans(findings) == [(2, 0.0, 3.5), (1, 5.0, 7.5)]

    def test_a_lone_suspicious_sighting_is_no_stretch(self):
        assert video([0.1] * 5 + [0.99] + [0.1] * 5).segments == ()
        assert video([0.99] + [0.1] * 9).segments == ()

    def test_a_very_short_clip_may_have_a_segment_of_one_sighting(self):
        findings = video([0.95, 0.1, 0.1], fps=1)
        assert spans(findings) == [(1, 0.0, 0.5)]  # half an interval, but not before the track begins
        assert video([0.95, 0.1, 0.1, 0.1], fps=1).segments == ()

    def test_a_clip_is_short_by_its_samples_not_by_its_faces(self):
        assert len(video([0.95, 0.1, 0.1], [0.1] * 3).segments) == 1
        assert video([None] * 10 + [0.95, 0.1]).segments == ()

    def test_scores_on_the_threshold_are_suspicious(self):
        assert spans(video([0.6] * 5)) == [(1, 0.0, 2.0)]

    def test_one_sighting_in_all_has_no_length(self):
        assert spans(video([0.95])) == [(1, 0.0, 0.0)]


class TestRefusals:
    @pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
    def test_a_score_that_is_no_number_is_an_error(self, broken):
        with pytest.raises(ScoringError, match="no number"):
            video([0.1, broken, 0.1])


class TestUnjudgedFaces:
    def seen(self, side, count=3):
        return [FaceScore(toy_face(i, box=Box(0, 0, side, side), track=0), None) for i in range(count)]

    def test_they_are_listed_and_do_not_weigh(self):
        small = [but(score, track=2) for score in self.seen(30)]
        findings = judge([*clip([0.9] * 10), *small], CARD, OPTIONS, SourceKind.VIDEO)
        assert findings.verdict.label is Label.FAKE
        assert findings.verdict.fake_probability == video([0.9] * 10).verdict.fake_probability
        assert findings.verdict.reason.endswith(" 3 faces were too small to be judged.")
        judged, other = findings.tracks
        assert (judged.weight, judged.note) == (1.0, "")
        assert (other.fake_probability, other.counted, other.note) == (None, False, "too small to be judged")
        assert [face.fake_probability for face in findings.timeline[0].faces] == [0.9, None]
        assert findings.timeline[0].fake_probability == 0.9

    def test_nothing_but_them_is_no_score(self):
        for kind in SourceKind:
            findings = judge(self.seen(30.4), CARD, OPTIONS, kind)
            assert findings.verdict.label is Label.UNCERTAIN
            assert findings.verdict.fake_probability is findings.verdict.confidence is None
            assert findings.verdict.interval is None
            assert findings.verdict.reason == (
                "The faces seen are too small to be judged: 30 pixels at the most, where 48 are needed."
            )
            assert findings.timeline[0].fake_probability is None
            assert findings.segments == ()

    def test_a_person_who_comes_nearer_is_judged_by_the_sightings_that_can_be(self):
        scores = clip([0.9] * 6)
        far = [replace(each, fake_probability=None) if each.face.frame_index < 3 else each for each in scores]
        (track,) = judge(far, CARD, OPTIONS, SourceKind.VIDEO).tracks
        assert (track.faces, track.fake_probability) == (6, pytest.approx(0.9))


class TestPersons:
    def test_tracks_of_one_person_are_judged_together(self):
        scores = [but(each, track=1 + each.face.frame_index // 5) for each in clip([0.9] * 5 + [0.3] * 5)]
        joined = judge(scores, CARD, OPTIONS, SourceKind.VIDEO, persons={1: 1, 2: 1})
        assert joined.verdict.fake_probability == pytest.approx(
            1 / (1 + math.exp(-(logit(0.9) + logit(0.3)) / 2))
        )
        assert [track.person for track in joined.tracks] == [1, 1]
        assert [track.fake_probability for track in joined.tracks] == pytest.approx([0.9, 0.3])
        apart = judge(scores, CARD, OPTIONS, SourceKind.VIDEO)
        assert apart.verdict.fake_probability == pytest.approx(odds(9, 3 / 7))
        assert [track.person for track in apart.tracks] == [1, 2]

    def test_a_person_seen_once_in_each_of_two_shots_was_seen_twice(self):
        scores = [but(each, track=1 + each.face.frame_index) for each in clip([0.9, 0.9])]
        assert judge(scores, CARD, OPTIONS, SourceKind.VIDEO).verdict.label is Label.UNCERTAIN
        joined = judge(scores, CARD, OPTIONS, SourceKind.VIDEO, persons={1: 1, 2: 1}).verdict
        assert joined.label is Label.FAKE
        assert joined.reason.startswith("The one person followed looks synthesised")

    def test_a_rule_for_stills_has_its_own_spread(self):
        rule = StillRule((1.0, 1.0), replace(CARD.calibration, spread=2 * CARD.calibration.spread))
        card = replace(CARD, stills=rule)
        faces = [replace(each, views=(0.8, 0.8)) for each in clip([0.8])]
        still_one = judge(faces, card, OPTIONS, SourceKind.IMAGE).verdict
        assert still_one.interval == views_interval((0.8, 0.8), rule.calibration.spread)
        clips = [judge(clip([0.8] * 4), each, OPTIONS, SourceKind.VIDEO) for each in (card, CARD)]
        assert clips[0].verdict.interval == clips[1].verdict.interval

    def test_all_of_their_tracks_are_named(self):
        scores = [
            but(each, track=2 + each.face.frame_index // 2) if each.face.track == 2 else each
            for each in clip([0.1] * 6, [0.99] * 6)
        ]
        joined = judge(scores, CARD, OPTIONS, SourceKind.VIDEO, persons={2: 2, 3: 2, 4: 2}).verdict
        assert joined.reason.startswith(
            "Person 2 (tracks 2, 3 and 4), one of 2 people followed, looks synthesised"
        )
        assert joined.tracks == (2, 3, 4)


class TestManyPeople:
    """Simulated genuine people, whose logits vary as those of validation clips and portraits do."""

    def rate(self, people, *, mean=-1.4, spread=1.25, clips=6000, fakes=0):
        rng = random.Random(7)
        called = 0
        for _ in range(clips):
            logits = [rng.gauss(mean, spread) for _ in range(people - fakes)]
            logits += [rng.gauss(2.5, spread) for _ in range(fakes)]
            scores = [
                FaceScore(toy_face(i, track=track), 1 / (1 + math.exp(-x)))
                for track, x in enumerate(logits)
                for i in range(2)
            ]
            called += judge(scores, self.STRICT, OPTIONS, SourceKind.VIDEO).verdict.label is Label.FAKE
        return called / clips

    STRICT = replace(CARD, fake_threshold=0.85)

    @pytest.mark.slow
    @pytest.mark.parametrize(("mean", "spread"), [(-1.4, 1.25), (-0.5, 1.0), (-0.7, 1.2)])
    def test_six_genuine_people_raise_no_more_false_alarms_than_one(self, mean, spread):
        rates = [self.rate(people, mean=mean, spread=spread) for people in (1, 2, 6)]
        assert max(rates[1:]) <= 1.2 * rates[0] + 0.002
        assert rates[0] > 0  # otherwise nothing was compared

    def test_one_fake_among_six_is_still_found(self):
        assert self.rate(6, fakes=1, clips=1000) > 10 * self.rate(6, clips=1000)


kinds = st.sampled_from(SourceKind)
probabilities = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.4, 0.6, 0.9, 0.1]))
options = st.tuples(
    probabilities, probabilities, st.floats(0, 1), st.sampled_from([0.0, 0.4, 1.5, 5.0]), st.booleans()
).map(
    lambda o: VerdictOptions(
        fake_threshold=max(o[:2]) if o[4] else None,
        real_threshold=min(o[:2]) if o[4] else None,
        min_track_share=o[2],
        segment_gap_s=o[3],
    )
)


@st.composite
def clips(draw):
    """Up to four people in up to twelve frames, at least one face."""
    frames = draw(st.integers(1, 12))
    sighting = st.one_of(st.none(), probabilities, probabilities)
    person = st.lists(sighting, min_size=frames, max_size=frames)
    people = draw(st.lists(person, min_size=1, max_size=4))
    assume(any(score is not None for person in people for score in person))
    return clip(*people, fps=draw(st.sampled_from([0.2, 1.0, 2.0, 29.97])))


@given(clips(), options, kinds)
@settings(max_examples=150, deadline=None)
def test_numbers_are_finite_and_within_bounds(scored, options, kind):
    findings = judge(scored, CARD, options, kind)
    found = [findings.verdict.fake_probability, findings.verdict.confidence]
    found += [item.fake_probability for item in (*findings.tracks, *findings.timeline, *findings.segments)]
    assert all(0 <= value <= 1 for value in found)
    assert sum(track.faces for track in findings.tracks) == len(scored)
    assert any(track.counted for track in findings.tracks)


@given(clips(), options, kinds)
@settings(max_examples=150, deadline=None)
def test_the_label_follows_from_probability_and_thresholds(scored, options, kind):
    findings = judge(scored, CARD, options, kind)
    verdict, (fake, real) = findings.verdict, thresholds(CARD, options)
    counted = [track for track in findings.tracks if track.counted]
    assert sum(track.weight for track in counted) == pytest.approx(1)
    several = [(t.weight, t.fake_probability) for t in counted]
    together = math.sqrt(sum(weight * (p / (1 - p)) ** 2 for weight, p in several))
    assert verdict.fake_probability == pytest.approx(together / (1 + together), abs=1e-8)
    p = verdict.fake_probability
    by_threshold = Label.FAKE if p >= fake else Label.REAL if p <= real else Label.UNCERTAIN
    seen_twice = [t for t in counted if t.faces > 1 or kind is SourceKind.IMAGE]
    bearing = [t for t in seen_twice if t.fake_probability >= fake or by_threshold is Label.REAL]
    assert verdict.label is (by_threshold if bearing else Label.UNCERTAIN)
    expected = {Label.FAKE: p, Label.REAL: 1 - p, Label.UNCERTAIN: max(p, 1 - p)}
    assert verdict.confidence == pytest.approx(expected[verdict.label])


@given(clips(), options, kinds, st.data())
@settings(max_examples=150, deadline=None)
def test_a_higher_score_never_lowers_the_clips(scored, options, kind, data):
    scores = scored
    which = data.draw(st.integers(0, len(scores) - 1))
    raised = data.draw(st.floats(scores[which].fake_probability, 1))
    changed = [*scores]
    changed[which] = replace(scores[which], fake_probability=raised)
    before = judge(scores, CARD, options, kind).verdict
    after = judge(changed, CARD, options, kind).verdict
    assert after.fake_probability >= before.fake_probability
    order = [Label.REAL, Label.UNCERTAIN, Label.FAKE]
    assert order.index(after.label) >= order.index(before.label)


@given(clips(), options, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_scores_does_not_matter(scored, options, shuffle):
    rows = list(scored)
    shuffle.shuffle(rows)
    shuffled = judge(rows, CARD, options, SourceKind.VIDEO)
    assert shuffled == judge(scored, CARD, options, SourceKind.VIDEO)


@given(clips(), options)
@settings(max_examples=150, deadline=None)
def test_segments_lie_in_their_track_apart_and_in_order(scored, options):
    findings = judge(scored, CARD, options, SourceKind.VIDEO)
    fake, _ = thresholds(CARD, options)
    tracks = {track.id: track for track in findings.tracks}
    assert [s.start_s for s in findings.segments] == sorted(s.start_s for s in findings.segments)
    last_end = {}
    for segment in findings.segments:
        track = tracks[segment.track]
        assert track.start_s <= segment.start_s <= segment.end_s <= track.end_s
        assert segment.start_s < segment.end_s or track.start_s == track.end_s
        assert segment.start_s > last_end.get(segment.track, -1)
        assert segment.fake_probability >= fake - 1e-8
        last_end[segment.track] = segment.end_s


@given(clips(), options)
@settings(max_examples=100, deadline=None)
def test_the_timeline_lists_every_face_once_in_order(scored, options):
    scores = scored
    timeline = judge(scored, CARD, options, SourceKind.VIDEO).timeline
    times = [point.time_s for point in timeline]
    assert times == sorted({score.face.time_s for score in scores})
    listed = [face.fake_probability for point in timeline for face in point.faces]
    assert sorted(listed) == sorted(score.fake_probability for score in scores)
    for point in timeline:
        assert point.fake_probability == max(face.fake_probability for face in point.faces)
