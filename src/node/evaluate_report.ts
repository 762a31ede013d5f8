import { join } from 'node:path';
import { chartSvg } from '../evaluate/chart_svg.js';
import type { Predictions } from '../evaluate/detections.js';
import type { EvaluationSource } from '../evaluate/evaluate_model.js';
import { type GroundTruth, SUBSETS } from '../evaluate/ground_truth.js';
import { type HeightEvaluation, LANDMARK_HEIGHT } from '../evaluate/heights.js';
import type { LandmarkErrors } from '../evaluate/landmarks.js';
import { type Fault, faultPage, faultPicture, type ShownFault, worstFaults } from '../evaluate/worst.js';
import type { WiderPrecision } from '../evaluate/average_precision.js';
import { drawChart, LINE_COLOURS, paper } from '../image/chart.js';
import type { Picture } from '../image/picture.js';
import { makeFolder, writeFileAtomic, writeImage } from './files.js';

/** Everything that an evaluation's folder tells. */
export interface Report {
  readonly result: WiderPrecision;
  readonly protocol: Readonly<Record<string, unknown>>;
  readonly landmarks: LandmarkErrors | undefined;
  /** By the height of faces, where no lists say which faces count. */
  readonly heights?: HeightEvaluation | undefined;
  readonly groundTruth: GroundTruth;
  readonly predictions: Predictions;
  /** The pictures, for the page of faults; without them there is none. */
  readonly source: EvaluationSource | undefined;
}

/** The figures as `--json` prints them: `null` where no face counts. */
export function figures({
  result,
  protocol,
  landmarks,
  heights,
}: Pick<Report, 'result' | 'protocol' | 'landmarks' | 'heights'>): object {
  const { easy, medium, hard } = result;
  const pointsOf = ({ meanError, failureRate, perPoint, faces, found }: LandmarkErrors): object => ({
    meanError,
    failureRate,
    perPoint,
    faces,
    found,
  });
  return {
    easy,
    medium,
    hard,
    protocol,
    ...(landmarks ? { landmarks: pointsOf(landmarks) } : {}),
    ...(heights
      ? {
          heights: {
            precisions: heights.precisions,
            ...(heights.landmarks
              ? { landmarks: { leastHeight: LANDMARK_HEIGHT, ...pointsOf(heights.landmarks) } }
              : {}),
          },
        }
      : {}),
  };
}

/**
 * Writes `result.json` (the figures and the curves), `curves.svg`, `curves.png` and, where pictures are given,
 * `worst.html` with the pictures of `worst/`, each whole or not at all. @throws FileError.
 */
export async function writeReport(folder: string, report: Report): Promise<void> {
  const { result, protocol } = report;
  await makeFolder(folder);
  const curves = Object.fromEntries(
    SUBSETS.map((subset) => {
      const { precision, recall, faces } = result.curves[subset];
      return [subset, { faces, precision: [...precision], recall: [...recall] }];
    }),
  );
  await writeText(join(folder, 'result.json'), `${JSON.stringify({ ...figures(report), curves })}\n`);
  const chart = precisionRecallChart(result, typeof protocol['name'] === 'string' ? protocol['name'] : '');
  await writeText(join(folder, 'curves.svg'), chartSvg(chart));
  await writeImage(join(folder, 'curves.png'), pictureOf(chart));
  if (report.source) await writeFaults(folder, report, report.source);
}

/** Precision over recall of the three subsets. */
export function precisionRecallChart(result: WiderPrecision, protocol: string): Parameters<typeof chartSvg>[0] {
  return {
    title: `Precision${protocol === '' ? '' : `, ${protocol}`}`,
    xLabel: 'recall',
    xRange: [0, 1],
    yRange: [0, 1],
    lines: SUBSETS.map((subset, i) => {
      const { precision, recall, averagePrecision } = result.curves[subset];
      const name = `${subset} AP ${Number.isNaN(averagePrecision) ? '-' : averagePrecision.toFixed(4)}`;
      const points = Array.from(recall, (x, t) => [x, precision[t]!] as const);
      // Before the first face is found there is no precision to show.
      return { name, colour: LINE_COLOURS[i]!, points: points.filter(([x]) => x > 0) };
    }),
  };
}

function pictureOf(chart: Parameters<typeof drawChart>[1]): Picture {
  const picture = paper(800, 600);
  drawChart(picture, chart, { x1: 0, y1: 0, x2: picture.width, y2: picture.height });
  return picture;
}

async function writeFaults(folder: string, report: Report, source: EvaluationSource): Promise<void> {
  const { misses, falseAlarms } = worstFaults(report.groundTruth, report.predictions);
  const places = new Map(Array.from({ length: source.length }, (_, i) => [source.name(i), i]));
  const boxes = new Map(report.groundTruth.pictures.map((picture) => [picture.name, picture.boxes]));
  await makeFolder(join(folder, 'worst'));
  const show = async (kind: string, faults: readonly Fault[]): Promise<ShownFault[]> => {
    const shown: ShownFault[] = [];
    for (const [i, fault] of faults.entries()) {
      const file = `worst/${kind}_${String(i + 1).padStart(2, '0')}.jpg`;
      const picture = await source.load(places.get(fault.name)!);
      await writeImage(join(folder, file), faultPicture(picture, fault, boxes.get(fault.name)!));
      shown.push({ ...fault, file });
    }
    return shown;
  };
  const page = faultPage('Worst faults', await show('miss', misses), await show('false_alarm', falseAlarms));
  await writeText(join(folder, 'worst.html'), page);
}

/** Writes text whole or not at all. @throws FileError. */
export async function writeText(path: string, text: string): Promise<void> {
  await writeFileAtomic(path, new TextEncoder().encode(text));
}
