package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
)

// A queuePair is the queue of a channel, and where its dead messages go.
type queuePair struct{ messages, letters awssqs.Queue }

const (
	// maxReceives is how often SQS hands out a message before it is dead. It is above all
	// limits of our own, for a wait costs a receive.
	maxReceives = 100
	// messageDays and letterDays are how long queues keep what they hold; a dead letter
	// keeps the age that it had as a message.
	messageDays, letterDays = 4, 14
)

// addQueues makes a queue and a dead-letter queue for each channel, and two for events that
// never reached their function.
func (s *stack) addQueues() {
	for _, channel := range cloud.Channels {
		letters := s.queue(title(channel)+"DeadLetters", &awssqs.QueueProps{RetentionPeriod: days(letterDays)})
		s.queues[channel] = queuePair{letters: letters, messages: s.queue(title(channel)+"Queue", &awssqs.QueueProps{
			RetentionPeriod: days(messageDays), VisibilityTimeout: secondsOf(s.choices.visibility()),
			DeadLetterQueue: &awssqs.DeadLetterQueue{Queue: letters, MaxReceiveCount: jsii.Number(maxReceives)},
		})}
	}
	s.tickLetters = s.queue("TickDeadLetters", &awssqs.QueueProps{RetentionPeriod: days(letterDays)})
	s.syncLetters = s.queue("SyncDeadLetters", &awssqs.QueueProps{RetentionPeriod: days(letterDays)})
}

func (s *stack) queue(name string, p *awssqs.QueueProps) awssqs.Queue {
	p.EnforceSSL, p.Encryption = jsii.Bool(true), awssqs.QueueEncryption_SQS_MANAGED
	if s.key != nil {
		p.Encryption, p.EncryptionMasterKey = awssqs.QueueEncryption_KMS, s.key
	}
	return awssqs.NewQueue(s.root, jsii.String(name), p)
}

func days(n float64) awscdk.Duration { return awscdk.Duration_Days(jsii.Number(n)) }

func secondsOf(n int) awscdk.Duration { return awscdk.Duration_Seconds(jsii.Number(n)) }

// title is a channel as a part of a name.
func title(channel string) string { return string(channel[0]-'a'+'A') + channel[1:] }
