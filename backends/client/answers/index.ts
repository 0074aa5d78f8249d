export { parseAnswer } from './parse_answer.ts';
export { answerObjects } from './answer_objects.ts';
export { placeBox, type Convention, type PictureSize, type PixelBox } from './place_box.ts';
export { pasteMask } from './paste_mask.ts';
export { cocoRle, type CocoRle } from './coco_rle.ts';
export { drawObjects, type DrawnObject, type DrawOptions } from './draw_objects.ts';
export type { Answer, AnswerObject, AnswerProblem, LocationBox } from './objects.ts';
export type { AnswerIds, IdOptions } from './ids_text.ts';
